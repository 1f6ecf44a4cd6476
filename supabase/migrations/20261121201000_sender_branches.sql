-- The allow-list says of a sender which branches he may have work done on.

alter table public.senders add column branches text[] check (cardinality(branches) between 1 and 50);

-- A list of texts out of JSON; null for null and for an empty list. A single text is a list of one.
create function private.texts_of(p_list jsonb) returns text[]
language sql immutable set search_path = '' as $$
    select nullif(array(select jsonb_array_elements_text(case jsonb_typeof(p_list)
        when 'array' then p_list when 'string' then jsonb_build_array(p_list) else '[]' end)), '{}')
$$;
revoke all on function private.texts_of(jsonb) from public, anon, authenticated, service_role;

-- Lets an address, or a domain as *@example.com, target one repository, or every one when p_repo is null.
-- p_options: {daily_limit?, needs_approval?, budget_usd_day?, budget_usd_month?, branches?}; what is not said stays as it is, and a
-- budget of null is none.
create or replace function public.allow_sender_v1(p_pattern text, p_repo text, p_options jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    target uuid;
    made public.senders;
begin
    select id into target from public.projects where lower(repo) = lower(p_repo);
    if p_repo is not null and target is null then
        perform private.refuse(404, 'project-not-found', format('There is no project for the repository %s.', p_repo),
            'Create it first: create_project_v1.');
    end if;
    insert into public.senders as known (pattern, project_id, daily_limit, needs_approval, budget_usd_day,
        budget_usd_month, branches)
    values (lower(p_pattern), target, coalesce((p_options ->> 'daily_limit')::integer, 100),
        coalesce((p_options ->> 'needs_approval')::boolean, false), (p_options ->> 'budget_usd_day')::numeric,
        (p_options ->> 'budget_usd_month')::numeric, private.texts_of(p_options -> 'branches'))
    on conflict (pattern, project_id) do update
    set daily_limit = coalesce((p_options ->> 'daily_limit')::integer, known.daily_limit),
        needs_approval = coalesce((p_options ->> 'needs_approval')::boolean, known.needs_approval),
        budget_usd_day = case when p_options ? 'budget_usd_day' then excluded.budget_usd_day else known.budget_usd_day end,
        budget_usd_month = case when p_options ? 'budget_usd_month'
            then excluded.budget_usd_month else known.budget_usd_month end,
        branches = case when p_options ? 'branches' then excluded.branches else known.branches end
    returning * into made;
    perform private.audit('allow_sender', 'senders', made.id::text, target,
        jsonb_build_object('pattern', made.pattern, 'options', p_options));
    return jsonb_build_object('sender_id', made.id, 'pattern', made.pattern, 'project_id', made.project_id,
        'daily_limit', made.daily_limit, 'needs_approval', made.needs_approval, 'budget_usd_day', made.budget_usd_day,
        'budget_usd_month', made.budget_usd_month, 'branches', made.branches);
end
$$;

-- The branches that the allow-list lets this sender have work done on; null when one of his rows says nothing of them.
create function private.branches_of_sender(p_sender text, p_project_id uuid) returns text[]
language sql stable set search_path = '' as $$
    select case when bool_and(senders.branches is not null) then array_agg(distinct named) end
    from private.senders_of(p_sender) as senders left join unnest(senders.branches) as named on true
    where senders.project_id is null or senders.project_id = p_project_id
$$;
revoke all on function private.branches_of_sender(text, uuid) from public, anon, authenticated, service_role;

-- Why this sender may not have this specification built: {code, message}; null when he may.
-- A repository that we do not know and one that is not his get the same answer.
create or replace function private.refusal_of(p_sender text, p_spec jsonb, p_specs_in_mail integer) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    target public.projects;
    most integer;
    already bigint;
    branches text[];
    branch text;
begin
    select * into target from public.projects where lower(repo) = lower(p_spec ->> 'repo');
    select max(daily_limit) into most from private.senders_of(p_sender)
    where target.id is not null and (project_id is null or project_id = target.id);
    if most is null then
        return jsonb_build_object('code', 'repository-not-allowed', 'message',
            format('You may not have anything built in the repository %s, or it is not set up here.', p_spec ->> 'repo'));
    end if;
    branch := coalesce(p_spec ->> 'branch', target.default_branch);
    branches := private.branches_of_sender(p_sender, target.id);
    if branches is not null and not private.branch_fits(branch, to_jsonb(branches)) then
        return jsonb_build_object('code', 'branch-not-allowed', 'message',
            format('You may not have work done on the branch %s of %s, but on: %s.', branch, target.repo,
                array_to_string(branches, ', ')));
    end if;
    if jsonb_typeof(target.policy -> 'branches') = 'array' and p_spec ->> 'branch' is not null
        and p_spec ->> 'branch' <> target.default_branch
        and not private.branch_fits(p_spec ->> 'branch', target.policy -> 'branches') then
        return jsonb_build_object('code', 'branch-not-allowed', 'message',
            format('The project %s does not accept work on the branch %s.', target.repo, p_spec ->> 'branch'));
    end if;
    select count(*) into already from public.specs
    where created_by = p_sender and created_at > now() - interval '1 day';
    most := least(most, (case when jsonb_typeof(target.policy -> 'daily_specs') = 'number'
        then target.policy ->> 'daily_specs' end)::numeric::integer);
    if already + p_specs_in_mail > most then
        return jsonb_build_object('code', 'daily-limit', 'message',
            format('Your limit of %s specifications in 24 hours is used up.', most));
    end if;
    return null;
end
$$;
