-- What people's own agents ask beside search.sql: the plan of a specification, what its Definition of Done says and what
-- was found, and runs by what is said of them. Invoker rights and `_for` twins as there.

-- {id, repo, branch, title, state, sprints: [{id, label, position, state, plan, dod, questions, resume_at}]}; null where
-- there is none to see.
create function public.show_plan_v1(p_spec_id uuid, p_project_ids uuid[] default null) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('id', specs.id, 'repo', specs.repo, 'branch', specs.branch, 'title', specs.title,
        'state', private.state_of(array_agg(sprints.state)),
        'sprints', coalesce(jsonb_agg(jsonb_build_object('id', sprints.id, 'label', sprints.label,
            'position', sprints.position, 'state', sprints.state, 'plan', sprints.plan_json, 'dod', sprints.dod_json,
            'questions', coalesce(sprints.questions_json, '[]'), 'resume_at', sprints.resume_at)
            order by sprints.position) filter (where sprints.id is not null), '[]'))
    from public.specs left join public.sprints on sprints.spec_id = specs.id
    where specs.id = p_spec_id and (p_project_ids is null or specs.project_id = any (p_project_ids))
    group by specs.id
$$;
revoke all on function public.show_plan_v1(uuid, uuid[]) from public, anon, authenticated, service_role;
grant execute on function public.show_plan_v1(uuid, uuid[]) to authenticated;

-- The newest runs [{run_id, spec_id, repo, title, sprint, attempt, result, created_at, finished_at, branch, commit,
-- pull_request, ci_url, failure, failing: [{id, status, reason}]}] of p_filter {repo, spec_id, result, query}, each
-- optional; the words of `query` must all occur in a run. The newest five hundred are looked through, at most fifty told.
create function public.find_runs_v1(p_filter jsonb default '{}', p_limit integer default 10,
    p_project_ids uuid[] default null) returns jsonb
language sql stable set search_path = '' as $$
    with newest as (
        select runs.*, sprints.label, specs.repo, specs.title
        from public.runs
        join public.sprints on sprints.id = runs.sprint_id
        join public.specs on specs.id = runs.spec_id
        where (p_project_ids is null or runs.project_id = any (p_project_ids))
            and (p_filter ->> 'repo' is null or lower(specs.repo) = lower(p_filter ->> 'repo'))
            and (p_filter ->> 'spec_id' is null or runs.spec_id = (p_filter ->> 'spec_id')::uuid)
            and (p_filter ->> 'result' is null or runs.result = p_filter ->> 'result')
        order by runs.created_at desc, runs.id limit 500
    ), told as (
        select newest.id, newest.created_at, jsonb_build_object('run_id', newest.id, 'spec_id', newest.spec_id,
            'repo', newest.repo, 'title', newest.title, 'sprint', newest.label, 'attempt', newest.attempt,
            'result', newest.result, 'created_at', newest.created_at, 'finished_at', newest.finished_at,
            'branch', newest.branch, 'commit', newest.commit_sha, 'pull_request', newest.pull_request,
            'ci_url', newest.ci_url,
            'failure', coalesce(newest.summary_json -> 'failure', newest.summary_json -> 'error'),
            'failing', (
                select coalesce(jsonb_agg(jsonb_build_object('id', criterion ->> 'id', 'status', criterion ->> 'status',
                    'reason', left(criterion ->> 'reason', 500))), '[]')
                from jsonb_array_elements(case jsonb_typeof(newest.summary_json #> '{verdict,criteria}')
                    when 'array' then newest.summary_json #> '{verdict,criteria}' else '[]' end) as criterion
                where criterion ->> 'status' <> 'passed')) as told
        from newest
    ), chosen as (
        select * from told
        where not exists (
            select from regexp_split_to_table(lower(left(coalesce(p_filter ->> 'query', ''), 200)), '\s+') as word
            where position(word in lower(told.told::text)) = 0)
        order by created_at desc, id
        limit least(greatest(coalesce(p_limit, 10), 1), 50)
    )
    select coalesce(jsonb_agg(chosen.told order by chosen.created_at desc, chosen.id), '[]') from chosen
$$;
revoke all on function public.find_runs_v1(jsonb, integer, uuid[]) from public, anon, authenticated, service_role;
grant execute on function public.find_runs_v1(jsonb, integer, uuid[]) to authenticated;

-- What is asked of each sprint and what its last verdict was, null where there is none to see: {id, repo, branch, title,
-- sprints: [{id, label, position, state, dod, verdict: {run_id, result, finished_at, branch, commit, criteria: [{id,
-- required, actual, status, reason}]} or null, open_run_id}]}.
create function public.show_dod_v1(p_spec_id uuid, p_project_ids uuid[] default null) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('id', specs.id, 'repo', specs.repo, 'branch', specs.branch, 'title', specs.title,
        'sprints', coalesce(jsonb_agg(jsonb_build_object('id', sprints.id, 'label', sprints.label,
            'position', sprints.position, 'state', sprints.state, 'dod', jsonb_strip_nulls(sprints.dod_json),
            'verdict', judged.verdict, 'open_run_id', (
                select runs.id from public.runs where runs.sprint_id = sprints.id and result is null))
            order by sprints.position) filter (where sprints.id is not null), '[]'))
    from public.specs
    left join public.sprints on sprints.spec_id = specs.id
    left join lateral (
        select jsonb_build_object('run_id', runs.id, 'result', runs.result, 'finished_at', runs.finished_at,
            'branch', coalesce(runs.branch, summary_json ->> 'branch'),
            'commit', coalesce(runs.commit_sha, summary_json ->> 'commit'), 'criteria', (
                select jsonb_agg(jsonb_build_object('id', criterion -> 'id', 'required', criterion -> 'required',
                    'actual', criterion -> 'actual', 'status', criterion -> 'status', 'reason', criterion -> 'reason')
                    order by place)
                from jsonb_array_elements(summary_json #> '{verdict,criteria}') with ordinality as listed (criterion, place)))
            as verdict
        from public.runs
        where runs.sprint_id = sprints.id and jsonb_typeof(summary_json #> '{verdict,criteria}') = 'array'
        order by attempt desc limit 1) as judged on true
    where specs.id = p_spec_id and (p_project_ids is null or specs.project_id = any (p_project_ids))
    group by specs.id
$$;
revoke all on function public.show_dod_v1(uuid, uuid[]) from public, anon, authenticated, service_role;
grant execute on function public.show_dod_v1(uuid, uuid[]) to authenticated;

create function public.show_dod_for_v1(p_caller jsonb, p_spec_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    return public.show_dod_v1(p_spec_id, array(select private.projects_of_caller(p_caller, 'specs:read')));
end
$$;
revoke all on function public.show_dod_for_v1(jsonb, uuid) from public, anon, authenticated, service_role;
grant execute on function public.show_dod_for_v1(jsonb, uuid) to aicd_functions;

create function public.show_plan_for_v1(p_caller jsonb, p_spec_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    return public.show_plan_v1(p_spec_id, array(select private.projects_of_caller(p_caller, 'specs:read')));
end
$$;
revoke all on function public.show_plan_for_v1(jsonb, uuid) from public, anon, authenticated, service_role;
grant execute on function public.show_plan_for_v1(jsonb, uuid) to aicd_functions;

create function public.find_runs_for_v1(p_caller jsonb, p_filter jsonb, p_limit integer) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    return public.find_runs_v1(p_filter, p_limit, array(select private.projects_of_caller(p_caller, 'specs:read')));
end
$$;
revoke all on function public.find_runs_for_v1(jsonb, jsonb, integer) from public, anon, authenticated, service_role;
grant execute on function public.find_runs_for_v1(jsonb, jsonb, integer) to aicd_functions;
