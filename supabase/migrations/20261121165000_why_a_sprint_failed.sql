-- The operator's list says why a sprint failed, also where the runner or its verdict says it.

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
create or replace function public.list_sprints_v1(p_state text default null, p_repo text default null, p_limit integer default 100)
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

