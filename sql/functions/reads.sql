-- What a member looks at: lists and pages, each one call. Invoker rights: the policies say which rows there are.
-- Paged by key and never by offset: `p_before_…` and `p_after_…` are created_at and id of the last row that the caller
-- has, so that page one thousand costs what page one costs and nothing is seen twice when rows are added meanwhile.
-- The order of rows with equal created_at is the index's own. A limit is at least one, at most 200 (events: 1000).
-- plpgsql, because it keeps its plans for the next call.

-- The member's projects by name of the repository: [{id, organisation_id, name, repo, default_branch, created_at}].
create function public.list_projects_v1(p_after_repo text default null, p_limit integer default 50) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    return (
        select coalesce(jsonb_agg(to_jsonb(page)), '[]')
        from (
            select id, organisation_id, name, repo, default_branch, created_at
            from public.projects
            where p_after_repo is null or lower(repo) > lower(p_after_repo)
            order by lower(repo)
            limit least(greatest(coalesce(p_limit, 50), 1), 200)) as page);
end
$$;
revoke all on function public.list_projects_v1(text, integer) from public, anon, authenticated, service_role;
grant execute on function public.list_projects_v1(text, integer) to authenticated;

-- A project's specifications, newest first, with their sprints:
-- [{id, project_id, repo, branch, name, title, format, sha, size, created_by, created_at,
--   sprints: [{id, label, position, state}]}].
create function public.list_specs_v1(
    p_project_id uuid,
    p_before_created_at timestamptz default null,
    p_before_id uuid default null,
    p_limit integer default 50
) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    before_created_at timestamptz := coalesce(p_before_created_at, 'infinity');
    before_id uuid := coalesce(p_before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
begin
    return (
        select coalesce(jsonb_agg(to_jsonb(page) || jsonb_build_object('sprints', (
            select coalesce(jsonb_agg(jsonb_build_object('id', sprints.id, 'label', sprints.label,
                'position', sprints.position, 'state', sprints.state) order by sprints.position), '[]')
            from public.sprints where sprints.spec_id = page.id)) order by page.created_at desc, page.id), '[]')
        from (
            select id, project_id, repo, branch, name, title, format, sha, size, created_by, created_at
            from public.specs
            -- Said so that one way is left: the index on (project_id, created_at desc, id), from the key on.
            where project_id = any (array[p_project_id])
                and created_at <= before_created_at and (created_at < before_created_at or id > before_id)
            order by project_id, created_at desc, id
            limit least(greatest(coalesce(p_limit, 50), 1), 200)) as page);
end
$$;
revoke all on function public.list_specs_v1(uuid, timestamptz, uuid, integer) from public, anon, authenticated, service_role;
grant execute on function public.list_specs_v1(uuid, timestamptz, uuid, integer) to authenticated;

-- A specification's runs, or one sprint's, newest first:
-- [{id, sprint_id, spec_id, project_id, attempt, ci_run_id, ci_url, created_at, started_at, finished_at, result, branch,
--   commit, pull_request}].
create function public.list_runs_v1(
    p_spec_id uuid,
    p_sprint_id uuid default null,
    p_before_created_at timestamptz default null,
    p_before_id uuid default null,
    p_limit integer default 50
) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    before_created_at timestamptz := coalesce(p_before_created_at, 'infinity');
    before_id uuid := coalesce(p_before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
begin
    return (
        select coalesce(jsonb_agg(to_jsonb(page)), '[]')
        from (
            select id, sprint_id, spec_id, project_id, attempt, ci_run_id, ci_url, created_at, started_at, finished_at,
                result, branch, commit_sha as commit, pull_request
            from public.runs
            where spec_id = p_spec_id and (p_sprint_id is null or sprint_id = p_sprint_id)
                and created_at <= before_created_at and (created_at < before_created_at or id > before_id)
            order by created_at desc, id
            limit least(greatest(coalesce(p_limit, 50), 1), 200)) as page);
end
$$;
revoke all on function public.list_runs_v1(uuid, uuid, timestamptz, uuid, integer) from public, anon, authenticated, service_role;
grant execute on function public.list_runs_v1(uuid, uuid, timestamptz, uuid, integer) to authenticated;

-- The events of a project, oldest first; after the key, if there is one:
-- [{id, run_id, spec_id, project_id, phase, message, metadata, created_at}].
-- An event carries the time of its making and is seen from its commit on, so one that is seen later may lie before a
-- key that was handed out already. Whoever must miss none reads again from a little earlier (docs/live.md).
create function public.list_events_v1(
    p_project_id uuid,
    p_after_created_at timestamptz default null,
    p_after_id uuid default null,
    p_limit integer default 200
) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    after_created_at timestamptz := coalesce(p_after_created_at, '-infinity');
    after_id uuid := coalesce(p_after_id, '00000000-0000-0000-0000-000000000000');
begin
    return (
        select coalesce(jsonb_agg(to_jsonb(page)), '[]')
        from (
            select id, run_id, spec_id, project_id, phase, message, metadata, created_at
            from public.status_events
            -- any(array[…]), and the project in the order, leave one way: the index that begins with the project. With
            -- a plain = the planner may take the index on created_at instead and read everybody's events for those
            -- of a project that has been quiet for long.
            where project_id = any (array[p_project_id])
                and created_at >= after_created_at and (created_at > after_created_at or id < after_id)
            order by project_id desc, created_at, id desc
            limit least(greatest(coalesce(p_limit, 200), 1), 1000)) as page);
end
$$;
revoke all on function public.list_events_v1(uuid, timestamptz, uuid, integer) from public, anon, authenticated, service_role;
grant execute on function public.list_events_v1(uuid, timestamptz, uuid, integer) to authenticated;

-- As list_events_v1, for one run. A run has few events: they are all read by the index on run_id, whatever the planner
-- thinks of the other indexes.
create function public.list_run_events_v1(
    p_run_id uuid,
    p_after_created_at timestamptz default null,
    p_after_id uuid default null,
    p_limit integer default 200
) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    after_created_at timestamptz := coalesce(p_after_created_at, '-infinity');
    after_id uuid := coalesce(p_after_id, '00000000-0000-0000-0000-000000000000');
begin
    return (
        with of_run as materialized (
            select id, run_id, spec_id, project_id, phase, message, metadata, created_at
            from public.status_events where run_id = p_run_id)
        select coalesce(jsonb_agg(to_jsonb(page)), '[]')
        from (
            select * from of_run
            where created_at > after_created_at or created_at = after_created_at and id < after_id
            order by created_at, id desc
            limit least(greatest(coalesce(p_limit, 200), 1), 1000)) as page);
end
$$;
revoke all on function public.list_run_events_v1(uuid, timestamptz, uuid, integer) from public, anon, authenticated, service_role;
grant execute on function public.list_run_events_v1(uuid, timestamptz, uuid, integer) to authenticated;

-- A run's page, null where there is none to see: {run, sprint, spec, artifacts, executions, events}. The newest two
-- hundred artifacts and executions; the first p_event_limit events, list_run_events_v1 has the others.
create function public.show_run_v1(p_run_id uuid, p_event_limit integer default 200) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    run public.runs;
begin
    select * into run from public.runs where id = p_run_id;
    if run.id is null then
        return null;
    end if;
    return jsonb_build_object(
        'run', jsonb_build_object('id', run.id, 'sprint_id', run.sprint_id, 'spec_id', run.spec_id,
            'project_id', run.project_id, 'attempt', run.attempt, 'ci_run_id', run.ci_run_id, 'ci_url', run.ci_url,
            'created_at', run.created_at, 'started_at', run.started_at, 'finished_at', run.finished_at,
            'result', run.result, 'branch', run.branch, 'commit', run.commit_sha, 'pull_request', run.pull_request,
            'summary_json', run.summary_json),
        'sprint', (
            select jsonb_build_object('id', id, 'label', label, 'position', position, 'state', state,
                'dod_json', dod_json)
            from public.sprints where id = run.sprint_id),
        'spec', (
            select jsonb_build_object('id', id, 'repo', repo, 'branch', branch, 'title', title, 'name', name,
                'created_by', created_by, 'created_at', created_at)
            from public.specs where id = run.spec_id),
        'artifacts', (
            select coalesce(jsonb_agg(to_jsonb(listed) order by listed.created_at desc, listed.id), '[]')
            from (
                select id, kind, name, content_type, size, sha256, storage_path, store, encoding, created_at
                from public.artifacts where run_id = run.id order by created_at desc, id limit 200) as listed),
        'executions', (
            select coalesce(jsonb_agg(to_jsonb(listed) order by listed.created_at desc, listed.id), '[]')
            from (
                select id, iteration, agent, model, started_at, finished_at, result, cost_usd, input_tokens,
                    output_tokens, created_at
                from public.agent_executions where run_id = run.id order by created_at desc, id limit 200) as listed),
        'events', public.list_run_events_v1(run.id, null, null, p_event_limit));
end
$$;
revoke all on function public.show_run_v1(uuid, integer) from public, anon, authenticated, service_role;
grant execute on function public.show_run_v1(uuid, integer) to authenticated;
