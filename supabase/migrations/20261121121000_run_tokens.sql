-- Exchange of GitHub's identity tokens for tokens of one run: whom a project trusts, and which identities were used.

-- GitHub's numbers for the repository and its owner: a name can be given up and taken by somebody else. null: no
-- identity token of that repository is exchanged for a run's token.
alter table public.projects
    add column repository_id text check (repository_id ~ '^[1-9][0-9]{0,19}$'),
    add column repository_owner_id text check (repository_owner_id ~ '^[1-9][0-9]{0,19}$'),
    add constraint projects_pinned_whole check ((repository_id is null) = (repository_owner_id is null));

-- GitHub's identity tokens that were exchanged for a run's token: each serves once.

create table private.exchanged_identities (
    issuer text not null check (length(issuer) between 1 and 500),
    jti text not null check (length(jti) between 1 and 200),
    run_id uuid not null references public.runs (id) on delete cascade,
    -- The token that was minted for it: what revoke_run_tokens_v1 revokes, and what makes a repeated claim the same claim.
    token_jti uuid not null unique,
    -- Until then neither the identity nor the minted token has expired; afterwards the row protects nothing.
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    -- The rule itself: of any number of callers with one identity, one gets the row.
    primary key (issuer, jti)
);
-- Serves revoke_run_tokens_v1.
create index idx_exchanged_identities_run_id on private.exchanged_identities (run_id);
-- Serves the sweep in claim_identity_v1.
create index idx_exchanged_identities_expires_at on private.exchanged_identities (expires_at);
alter table private.exchanged_identities enable row level security;
revoke all on table private.exchanged_identities from public, anon, authenticated, service_role;

-- Makes or changes the project of a repository: {repo, name?, organisation?, default_branch?, workflow?, policy?,
-- repository_id?, repository_owner_id?}. The two ids are GitHub's and pin the repository (null for both lets it go); they
-- are never learnt from a token, for whoever came first would be trusted.
create or replace function public.create_project_v1(p_project jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    owning uuid;
    made public.projects;
begin
    insert into public.organisations (name)
    values (coalesce(p_project ->> 'organisation', split_part(p_project ->> 'repo', '/', 1)))
    on conflict (name) do update set name = excluded.name
    returning id into owning;
    insert into public.projects as known (organisation_id, name, repo, default_branch, workflow, policy,
        repository_id, repository_owner_id)
    values (owning, coalesce(p_project ->> 'name', p_project ->> 'repo'), p_project ->> 'repo',
        coalesce(p_project ->> 'default_branch', 'main'), coalesce(p_project ->> 'workflow', 'aicd.yml'),
        coalesce(p_project -> 'policy', '{}'), p_project ->> 'repository_id', p_project ->> 'repository_owner_id')
    on conflict (lower(repo)) do update
    set name = coalesce(p_project ->> 'name', known.name),
        organisation_id = case when p_project ? 'organisation' then excluded.organisation_id else known.organisation_id end,
        default_branch = coalesce(p_project ->> 'default_branch', known.default_branch),
        workflow = coalesce(p_project ->> 'workflow', known.workflow),
        policy = coalesce(p_project -> 'policy', known.policy),
        repository_id = case when p_project ? 'repository_id' then excluded.repository_id else known.repository_id end,
        repository_owner_id = case when p_project ? 'repository_owner_id'
            then excluded.repository_owner_id else known.repository_owner_id end
    returning * into made;
    perform private.audit('create_project', 'projects', made.id::text, made.id, p_project);
    return jsonb_build_object('project_id', made.id, 'organisation_id', made.organisation_id, 'repo', made.repo,
        'default_branch', made.default_branch, 'workflow', made.workflow, 'policy', made.policy,
        'repository_id', made.repository_id, 'repository_owner_id', made.repository_owner_id);
end
$$;
revoke all on function public.create_project_v1(jsonb) from public, anon, authenticated, service_role;

-- What `runner-token` asks before it mints: whom a run trusts, and whether an identity was used before.
-- SECURITY DEFINER: as in mailboxes.sql.

-- Whom this run trusts: its project's repository and policy, and the CI run it is bound to. null when there is no run.
create function public.describe_run_trust_v1(p_run_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    return (
        select jsonb_build_object('run_id', runs.id, 'spec_id', runs.spec_id, 'project_id', runs.project_id,
            'ci_run_id', runs.ci_run_id, 'ci_attempt', runs.ci_attempt, 'repo', projects.repo,
            'repository_id', projects.repository_id, 'repository_owner_id', projects.repository_owner_id,
            'default_branch', projects.default_branch, 'workflow', projects.workflow, 'policy', projects.policy)
        from public.runs join public.projects on projects.id = runs.project_id
        where runs.id = p_run_id);
end
$$;
revoke all on function public.describe_run_trust_v1(uuid) from public, anon, authenticated, service_role;
grant execute on function public.describe_run_trust_v1(uuid) to aicd_functions;

-- Claims an identity for one token of one run, before that token is minted. p_claim: {issuer, jti, expires_at (unix
-- seconds), run_id, ci_run_id, ci_attempt, token_jti, token_seconds, details}. → {outcome}: claimed, replayed,
-- run-not-found, run-not-bound, other-ci-run or earlier-attempt; nothing is minted for any but the first.
-- The same claim again (same token_jti) is claimed again: an answer that was lost may be asked for anew.
create function public.claim_identity_v1(p_claim jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs;
    -- Clocks may differ by 30 seconds, and PyPI adds five.
    kept_until timestamptz := greatest(to_timestamp((p_claim ->> 'expires_at')::double precision),
        now() + make_interval(secs => (p_claim ->> 'token_seconds')::integer)) + interval '35 seconds';
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_claim, 'The claim', 16384);
    select * into run from public.runs where id = (p_claim ->> 'run_id')::uuid;
    if run.id is null then
        return jsonb_build_object('outcome', 'run-not-found');
    end if;
    if run.ci_run_id is null and exists (
            select from public.projects
            where id = run.project_id and policy -> 'bind_first_ci_run' = 'true'::jsonb) then
        update public.runs set ci_run_id = p_claim ->> 'ci_run_id', bound_at = coalesce(bound_at, now())
        where id = run.id and ci_run_id is null;
        select * into run from public.runs where id = run.id;
    end if;
    if run.ci_run_id is null then
        return jsonb_build_object('outcome', 'run-not-bound');
    end if;
    if run.ci_run_id is distinct from p_claim ->> 'ci_run_id' then
        return jsonb_build_object('outcome', 'other-ci-run');
    end if;
    -- A later attempt has taken over (start_run_v1).
    if run.ci_attempt > (p_claim ->> 'ci_attempt')::integer then
        return jsonb_build_object('outcome', 'earlier-attempt');
    end if;
    delete from private.exchanged_identities
    where (issuer, jti) in (
        select known.issuer, known.jti from private.exchanged_identities as known
        where known.expires_at < now() order by known.expires_at limit 100 for update skip locked);
    -- A second caller waits here until the first has committed, and then finds the row.
    insert into private.exchanged_identities (issuer, jti, run_id, token_jti, expires_at)
    values (p_claim ->> 'issuer', p_claim ->> 'jti', run.id, (p_claim ->> 'token_jti')::uuid, kept_until)
    on conflict do nothing;
    if found then
        perform private.audit('exchange_identity', 'runs', run.id::text, run.project_id,
            coalesce(p_claim -> 'details', '{}') || jsonb_build_object('token_jti', p_claim ->> 'token_jti',
                'ci_run_id', run.ci_run_id, 'ci_attempt', p_claim ->> 'ci_attempt'));
        return jsonb_build_object('outcome', 'claimed');
    end if;
    if exists (
            select from private.exchanged_identities as known
            where known.issuer = p_claim ->> 'issuer' and known.jti = p_claim ->> 'jti'
                and known.run_id = run.id and known.token_jti = (p_claim ->> 'token_jti')::uuid) then
        return jsonb_build_object('outcome', 'claimed');
    end if;
    return jsonb_build_object('outcome', 'replayed');
end
$$;
revoke all on function public.claim_identity_v1(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.claim_identity_v1(jsonb) to aicd_functions;

-- The operator's: ends every token that was exchanged for this run and may still live; how many. Its job can exchange
-- another as long as it runs and the project trusts it: cancel the job, or take the project's repository_id away.
create function public.revoke_run_tokens_v1(p_run_id uuid, p_reason text) returns integer
language plpgsql set search_path = '' as $$
declare
    exchanged private.exchanged_identities;
    revoked integer := 0;
begin
    for exchanged in
        select * from private.exchanged_identities where run_id = p_run_id and expires_at > now()
        order by created_at loop
        if public.revoke_token_v1(exchanged.token_jti::text, p_reason) then
            revoked := revoked + 1;
        end if;
    end loop;
    return revoked;
end
$$;
revoke all on function public.revoke_run_tokens_v1(uuid, text) from public, anon, authenticated, service_role;
