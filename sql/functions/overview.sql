-- What an operator looks at before he decides. Invoker rights: granted to nobody, called by the owner.

-- Why a run ended as it did, from its summary: {message}; null where it does not say. The database writes `error`, the
-- runner `failure` or a verdict.
create function private.describe_end(p_summary jsonb) returns jsonb
language sql immutable set search_path = '' as $$
    select coalesce(nullif(p_summary -> 'error', 'null'), nullif(p_summary -> 'failure', 'null'), (
        select jsonb_build_object('message', 'Not met: ' || string_agg(criterion ->> 'id', ', '))
        from jsonb_array_elements(case jsonb_typeof(p_summary #> '{verdict,criteria}')
            when 'array' then p_summary #> '{verdict,criteria}' else '[]' end) as criterion
        where criterion ->> 'status' <> 'passed' having count(*) > 0))
$$;
revoke all on function private.describe_end(jsonb) from public, anon, authenticated, service_role;

-- Sprints in one state, or with null those that are not over, longest waiting first: describe_sprint's with {repo,
-- title, requester, created_at, questions: what its last run asked, estimate, error: why its last run ended, {message}}.
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
            'estimate', listed.planning_json -> 'estimate', 'error', private.describe_end(last_run.summary_json))
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
        'needs_approval', needs_approval, 'budget_usd_day', budget_usd_day, 'budget_usd_month', budget_usd_month,
        'branches', branches) order by pattern, repo nulls first), '[]')
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
