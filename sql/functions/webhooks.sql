-- Webhooks: the generic door's sources, and what GitHub tells. SECURITY DEFINER: as in mailboxes.sql.

-- The operator's: makes a source, or gives it a new secret: {name, repo} → {name, repo, secret}. The secret is shown this
-- once, as whsec_BASE64.
create function public.create_webhook_source_v1(p_source jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    target public.projects;
    -- gen_random_uuid draws on the system's strong chance; pgcrypto is not everywhere.
    made bytea := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
begin
    select * into target from public.projects where lower(repo) = lower(p_source ->> 'repo');
    if target.id is null then
        perform private.refuse(404, 'project-not-found',
            format('There is no project for the repository %s.', p_source ->> 'repo'), 'Create it first: create_project_v1.');
    end if;
    insert into private.webhook_sources as known (name, project_id, secret)
    values (p_source ->> 'name', target.id, made)
    on conflict (name) do update set project_id = excluded.project_id, secret = excluded.secret, revoked_at = null;
    perform private.audit('create_webhook_source', 'webhook_sources', p_source ->> 'name', target.id, '{}');
    return jsonb_build_object('name', p_source ->> 'name', 'repo', target.repo, 'secret',
        'whsec_' || replace(encode(made, 'base64'), E'\n', ''));
end
$$;
revoke all on function public.create_webhook_source_v1(jsonb) from public, anon, authenticated, service_role;

-- The operator's: dead at once; false when it was before.
create function public.revoke_webhook_source_v1(p_name text, p_reason text default '') returns boolean
language plpgsql set search_path = '' as $$
declare
    known private.webhook_sources;
begin
    update private.webhook_sources set revoked_at = now() where name = p_name and revoked_at is null returning * into known;
    if known.name is null then
        return false;
    end if;
    perform private.audit('revoke_webhook_source', 'webhook_sources', p_name, known.project_id,
        jsonb_build_object('reason', p_reason));
    return true;
end
$$;
revoke all on function public.revoke_webhook_source_v1(text, text) from public, anon, authenticated, service_role;

-- Whether these bytes were signed by this source: HMAC-SHA256 of "id.timestamp.body", any of the signatures given. The
-- two are compared by their hashes, so that the time it takes tells nothing. p_signed and p_signatures are base64.
create function private.signed_by(p_secret bytea, p_signed bytea, p_signatures text[]) returns boolean
language sql immutable set search_path = '' as $$
    select coalesce(bool_or(sha256(convert_to(given, 'UTF8')) = sha256(convert_to(
        replace(encode(private.hmac_sha256(p_secret, p_signed), 'base64'), E'\n', ''), 'UTF8'))), false)
    from unnest(p_signatures[1:10]) as given
$$;

-- A call of a source: {caller, name, limit}; null where the source is unknown or revoked or the signature is not its own,
-- all alike. p_signed: base64 of "id.timestamp.body" as received; the function has looked at the timestamp.
create function public.open_webhook_call_v1(p_source text, p_signed text, p_signatures text[]) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    known private.webhook_sources;
    is_his boolean;
begin
    perform private.require_role('aicd_functions');
    select * into known from private.webhook_sources where name = p_source and revoked_at is null;
    -- An unknown source costs what a known one does.
    is_his := private.signed_by(coalesce(known.secret, sha256(''::bytea)), decode(p_signed, 'base64'), p_signatures);
    if known.name is null or not is_his then
        return null;
    end if;
    return jsonb_build_object('caller', 'webhook:' || known.name, 'name', known.name,
        'limit', private.spend_request('webhook:' || known.name));
end
$$;
revoke all on function public.open_webhook_call_v1(text, text, text[]) from public, anon, authenticated, service_role;
grant execute on function public.open_webhook_call_v1(text, text, text[]) to aicd_functions;

-- The run that a pull request, or a deployed commit, is of: the newest one.
create function private.run_of_event(p_project_id uuid, p_event jsonb) returns public.runs
language sql stable set search_path = '' as $$
    select runs.* from public.runs
    where project_id = p_project_id and (case p_event ->> 'kind'
        when 'deployed' then commit_sha = p_event ->> 'commit' or pull_request ->> 'merge_commit' = p_event ->> 'commit'
        else pull_request is not null and pull_request ->> 'number' = p_event ->> 'number' end)
    order by created_at desc, id
    limit 1
$$;

-- What GitHub told, once for a delivery: {outcome: recorded, known (nothing new), replayed, unknown-repository or
-- unknown-run, run_id}. p_event: {kind: merged, closed, reopened or deployed, repo, repository_id, number, url, commit,
-- environment, at, by}. MERGED is told once for a run, DEPLOYED once for a run and environment. A repository whose number
-- is pinned must have that number. The claim and the effect are one transaction: what fails may be delivered again.
create function public.record_github_event_v1(p_delivery_id text, p_event jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    project public.projects;
    run public.runs;
    event_id uuid;
    told boolean := false;
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_event, 'The event', 16384);
    -- A delivery from before that can do nothing new: what it tells is known, by its own id.
    delete from private.webhook_deliveries where (source, delivery_id) in (
        select old.source, old.delivery_id from private.webhook_deliveries as old
        where received_at < now() - interval '90 days' order by received_at limit 100 for update skip locked);
    insert into private.webhook_deliveries (source, delivery_id) values ('github', p_delivery_id) on conflict do nothing;
    if not found then
        return jsonb_build_object('outcome', 'replayed', 'run_id', null);
    end if;
    select * into project from public.projects
    where lower(repo) = lower(p_event ->> 'repo')
        and (repository_id is null or repository_id = p_event ->> 'repository_id');
    if project.id is null then
        return jsonb_build_object('outcome', 'unknown-repository', 'run_id', null);
    end if;
    run := private.run_of_event(project.id, p_event);
    if run.id is null then
        return jsonb_build_object('outcome', 'unknown-run', 'run_id', null);
    end if;
    if p_event ->> 'kind' <> 'deployed' then
        update public.runs
        set pull_request = pull_request || jsonb_strip_nulls(jsonb_build_object(
            'state', case p_event ->> 'kind' when 'reopened' then 'open' else p_event ->> 'kind' end,
            'merge_commit', case p_event ->> 'kind' when 'merged' then p_event ->> 'commit' end))
        where id = run.id and pull_request ->> 'state' is distinct from 'merged';
        told := found;
    end if;
    if p_event ->> 'kind' in ('merged', 'deployed') then
        event_id := private.derived_id('github:' || (p_event ->> 'kind') || ':' || run.id || ':'
            || coalesce(p_event ->> 'environment', ''));
        insert into public.status_events (id, run_id, spec_id, phase, message, metadata)
        values (event_id, run.id, run.spec_id, upper(p_event ->> 'kind'), case p_event ->> 'kind'
                when 'merged' then 'The pull request was merged.'
                else format('The change was deployed to %s.', left(coalesce(p_event ->> 'environment', ''), 200)) end,
            jsonb_strip_nulls(p_event - 'kind' - 'repository_id'))
        on conflict (id) do nothing;
        told := found;
    end if;
    return jsonb_build_object('outcome', case when told then 'recorded' else 'known' end, 'run_id', run.id);
end
$$;
revoke all on function public.record_github_event_v1(text, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.record_github_event_v1(text, jsonb) to aicd_functions;

revoke all on function private.signed_by(bytea, bytea, text[]), private.run_of_event(uuid, jsonb)
    from public, anon, authenticated, service_role;
