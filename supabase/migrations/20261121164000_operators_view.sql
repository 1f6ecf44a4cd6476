-- The operator's members, and what he looks at before he decides.

-- The operator's: how long a table's rows or a bucket's objects are kept; null for ever.
create or replace function public.set_retention_v1(p_kind text, p_name text, p_keep_days integer) returns jsonb
language plpgsql set search_path = '' as $$
declare
    before integer;
begin
    select keep_days into before from public.retention_policies where kind = p_kind and name = p_name for update;
    begin
        insert into public.retention_policies (kind, name, keep_days) values (p_kind, p_name, p_keep_days)
        on conflict (kind, name) do update set keep_days = excluded.keep_days, changed_at = now();
    exception when check_violation then
        perform private.refuse(400, 'bad-retention', format('%s:%s is not kept for %s days.', p_kind, p_name, p_keep_days),
            'aicd retention list names what expires. The least is 90 days for audit_log, 62 for ledger, 30 for messages, 8 for outbox, artifacts and specs, 1 for the others.');
    end;
    perform private.audit('set_retention', 'retention_policies', p_kind || ':' || p_name, null,
        jsonb_build_object('keep_days', p_keep_days, 'was', before));
    return jsonb_build_object('kind', p_kind, 'name', p_name, 'keep_days', p_keep_days);
end
$$;


-- The operator's hand on who belongs where. Invoker rights: as in operator.sql. The log of it is written by a trigger on
-- the two tables (authority.sql), whoever writes them.

-- The one account that is meant: {user_id} or {email}. Auth keeps one for an address, but for single sign-on.
create function private.find_user(p_member jsonb) returns uuid
language plpgsql stable set search_path = '' as $$
declare
    found_ids uuid[];
begin
    select array_agg(id) into found_ids from auth.users
    where id = (p_member ->> 'user_id')::uuid or lower(email) = lower(p_member ->> 'email');
    if found_ids is null then
        perform private.refuse(404, 'user-not-found', 'Nobody with this address or id has an account.',
            'Let him sign up, or invite him (Authentication, Users); an account is found by its exact address.');
    elsif cardinality(found_ids) > 1 then
        perform private.refuse(409, 'user-ambiguous', 'Several accounts have this address.', 'Name the account by its id.');
    end if;
    return found_ids[1];
end
$$;

-- What the membership is in: {project_id, organisation_id}, one of them null. {repo} or {organisation: a name}.
create function private.find_membership(p_member jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    found_project uuid;
    found_organisation uuid;
begin
    if (p_member ->> 'repo' is null) = (p_member ->> 'organisation' is null) then
        perform private.refuse(400, 'bad-membership', 'A membership is in one project or in one organisation.',
            'Name a repository or an organisation, and not both.');
    end if;
    select id into found_project from public.projects where lower(repo) = lower(p_member ->> 'repo');
    select id into found_organisation from public.organisations where name = p_member ->> 'organisation';
    if found_project is null and found_organisation is null then
        perform private.refuse(404, case when p_member ->> 'repo' is null then 'organisation-not-found' else 'project-not-found' end,
            format('There is nothing set up here for %s.', coalesce(p_member ->> 'repo', p_member ->> 'organisation')),
            'Check the name; create_project_v1 makes a project and its organisation.');
    end if;
    return jsonb_build_object('project_id', found_project, 'organisation_id', found_organisation);
end
$$;

-- Everybody who belongs to a repository's project or to an organisation, or all: [{user_id, email, role, repo,
-- organisation, created_at}]. A project's list has those of its organisation who may see it, too.
create function public.list_members_v1(p_repo text default null, p_organisation text default null) returns jsonb
language sql stable set search_path = '' as $$
    with members as (
        select projects.repo, organisations.name as organisation, user_id, role, project_members.created_at
        from public.project_members
        join public.projects on projects.id = project_id
        join public.organisations on organisations.id = projects.organisation_id
        where (p_repo is null or lower(repo) = lower(p_repo)) and (p_organisation is null or organisations.name = p_organisation)
        union all
        select null, organisations.name, user_id, role, organisation_members.created_at
        from public.organisation_members
        join public.organisations on organisations.id = organisation_id
        where (p_organisation is null or organisations.name = p_organisation)
            and (p_repo is null or role <> 'member' and exists (
                select from public.projects
                where projects.organisation_id = organisations.id and lower(repo) = lower(p_repo)))
    )
    select coalesce(jsonb_agg(jsonb_build_object('user_id', user_id, 'email', users.email, 'role', members.role,
        'repo', repo, 'organisation', organisation, 'created_at', members.created_at)
        order by organisation, repo nulls first, users.email, user_id), '[]')
    from members join auth.users on users.id = user_id
$$;
revoke all on function public.list_members_v1(text, text) from public, anon, authenticated, service_role;

-- p_member: {email or user_id, repo or organisation, role} → {user_id, role, was}. Again with another role changes it.
create function public.add_member_v1(p_member jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    target jsonb := private.find_membership(p_member);
    member_id uuid := private.find_user(p_member);
    given text := p_member ->> 'role';
    roles text[] := case when target ->> 'project_id' is not null
        then array['maintainer', 'developer', 'viewer'] else array['owner', 'admin', 'member'] end;
    before text;
begin
    if given is null or given <> all (roles) then
        perform private.refuse(400, 'bad-role', format('The roles here are %s.', array_to_string(roles, ', ')), 'Give one of them.');
    end if;
    if target ->> 'project_id' is not null then
        select role into before from public.project_members
        where project_id = (target ->> 'project_id')::uuid and user_id = member_id for update;
        insert into public.project_members as known (project_id, user_id, role)
        values ((target ->> 'project_id')::uuid, member_id, given)
        on conflict (project_id, user_id) do update set role = excluded.role where known.role <> excluded.role;
    else
        select role into before from public.organisation_members
        where organisation_id = (target ->> 'organisation_id')::uuid and user_id = member_id for update;
        insert into public.organisation_members as known (organisation_id, user_id, role)
        values ((target ->> 'organisation_id')::uuid, member_id, given)
        on conflict (organisation_id, user_id) do update set role = excluded.role where known.role <> excluded.role;
    end if;
    return jsonb_build_object('user_id', member_id, 'role', given, 'was', before);
end
$$;
revoke all on function public.add_member_v1(jsonb) from public, anon, authenticated, service_role;

-- False when he did not belong there. What he may see is gone with the next statement.
create function public.remove_member_v1(p_member jsonb) returns boolean
language plpgsql set search_path = '' as $$
declare
    target jsonb := private.find_membership(p_member);
    member_id uuid := private.find_user(p_member);
begin
    if target ->> 'project_id' is not null then
        delete from public.project_members where project_id = (target ->> 'project_id')::uuid and user_id = member_id;
    else
        delete from public.organisation_members
        where organisation_id = (target ->> 'organisation_id')::uuid and user_id = member_id;
    end if;
    return found;
end
$$;
revoke all on function public.remove_member_v1(jsonb) from public, anon, authenticated, service_role;

revoke all on function private.find_user(jsonb), private.find_membership(jsonb)
    from public, anon, authenticated, service_role;


-- What an operator looks at before he decides. Invoker rights: granted to nobody, called by the owner.

-- Sprints in one state, or with null those that are not over, longest waiting first: describe_sprint's with {repo,
-- title, requester, created_at, questions: what its last run asked, estimate, error: why its last run ended}.
create function public.list_sprints_v1(p_state text default null, p_repo text default null, p_limit integer default 100)
returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    if p_state is not null and p_state not in ('PLANNED', 'NEEDS_INPUT', 'NEEDS_APPROVAL', 'RUNNING', 'PAUSED', 'DONE',
                                               'FAILED', 'CANCELLED') then
        perform private.refuse(400, 'bad-state', format('%s is no state of a sprint.', p_state),
            'docs/states.md draws the states.');
    end if;
    return (
        select coalesce(jsonb_agg(private.describe_sprint(listed.id) || jsonb_build_object('repo', listed.repo,
            'title', listed.title, 'requester', listed.created_by, 'created_at', listed.created_at,
            'questions', coalesce(last_run.summary_json -> 'questions', '[]'),
            'estimate', listed.planning_json -> 'estimate', 'error', last_run.summary_json -> 'error')
            order by listed.created_at, listed.position, listed.id), '[]')
        from (
            select sprints.id, sprints.position, specs.repo, specs.title, specs.created_by, specs.created_at,
                specs.planning_json
            from public.sprints join public.specs on specs.id = sprints.spec_id
            where (sprints.state = p_state or p_state is null and sprints.state not in ('DONE', 'CANCELLED'))
                and (p_repo is null or lower(specs.repo) = lower(p_repo))
            order by specs.created_at, sprints.position, sprints.id
            limit least(greatest(p_limit, 1), 1000)) as listed
        left join lateral (
            select summary_json from public.runs where runs.sprint_id = listed.id order by attempt desc limit 1
        ) as last_run on true);
end
$$;
revoke all on function public.list_sprints_v1(text, text, integer) from public, anon, authenticated, service_role;

-- How long everything that can expire is kept, null for ever: [{kind, name, keep_days, changed_at}].
create function public.list_retention_v1() returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_agg(jsonb_build_object('kind', known.kind, 'name', known.name, 'keep_days', keep_days,
        'changed_at', changed_at) order by known.kind, known.name)
    from (values ('bucket', 'artifacts'), ('bucket', 'specs'), ('table', 'agent_executions'), ('table', 'audit_log'),
        ('table', 'ledger'), ('table', 'messages'), ('table', 'outbox'), ('table', 'status_events')) as known (kind, name)
    left join public.retention_policies on retention_policies.kind = known.kind and retention_policies.name = known.name
$$;
revoke all on function public.list_retention_v1() from public, anon, authenticated, service_role;

-- The allow-list: [{pattern, repo: null for every one, daily_limit, needs_approval, budget_usd_day, budget_usd_month}].
create function public.list_senders_v1(p_repo text default null) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object('pattern', pattern, 'repo', repo, 'daily_limit', daily_limit,
        'needs_approval', needs_approval, 'budget_usd_day', budget_usd_day, 'budget_usd_month', budget_usd_month)
        order by pattern, repo nulls first), '[]')
    from public.senders left join public.projects on projects.id = project_id
    where p_repo is null or project_id is null or lower(repo) = lower(p_repo)
$$;
revoke all on function public.list_senders_v1(text) from public, anon, authenticated, service_role;

-- What was spent since p_since, by project, requester, kind and model: [{repo, requester, kind, model, calls, cost_usd,
-- input_tokens, output_tokens}], the most expensive first.
create function public.list_spending_v1(p_since date, p_repo text default null) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(to_jsonb(spent) order by cost_usd desc, repo, requester, kind, model), '[]')
    from (
        select repo, requester, kind, model, count(*) as calls, sum(cost_usd) as cost_usd,
            sum(input_tokens + cache_read_tokens + cache_write_tokens) as input_tokens, sum(output_tokens) as output_tokens
        from public.ledger join public.projects on projects.id = project_id
        where day >= p_since and (p_repo is null or lower(repo) = lower(p_repo))
        group by repo, requester, kind, model) as spent
$$;
revoke all on function public.list_spending_v1(date, text) from public, anon, authenticated, service_role;

