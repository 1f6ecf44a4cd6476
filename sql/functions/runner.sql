-- The runner's verbs: one run, from its start to its result. SECURITY DEFINER: as in mailboxes.sql.

-- Where a sprint continues: branch and commit of the nearest sprint that was built of those it depends on, directly or
-- not. null where there is none: it begins at the project's branch.
create function private.previous_work(p_sprint_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    with recursive needed as (
        select earlier.* from public.sprints as mine
        join public.sprints as earlier on earlier.spec_id = mine.spec_id and earlier.label = any (mine.depends_on)
        where mine.id = p_sprint_id
        union
        select earlier.* from needed
        join public.sprints as earlier on earlier.spec_id = needed.spec_id and earlier.label = any (needed.depends_on)
    )
    select jsonb_build_object('branch', runs.branch, 'commit', runs.commit_sha)
    from needed
    join public.runs on runs.sprint_id = needed.id and runs.result = 'PASSED' and runs.commit_sha is not null
    order by needed.position desc, runs.attempt desc
    limit 1
$$;

-- The sprints that one depends on directly, with the work of each: a sprint that joins several has to merge them.
create function private.describe_needed(p_sprint_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object('label', earlier.label, 'branch', runs.branch,
        'commit', runs.commit_sha) order by earlier.position), '[]')
    from public.sprints as mine
    join public.sprints as earlier on earlier.spec_id = mine.spec_id and earlier.label = any (mine.depends_on)
    left join public.runs on runs.sprint_id = earlier.id and runs.result = 'PASSED'
    where mine.id = p_sprint_id
$$;
revoke all on function private.describe_needed(uuid) from public, anon, authenticated, service_role;

create function private.describe_start(p_run public.runs, p_outcome text) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('outcome', p_outcome, 'run_id', p_run.id, 'sprint_id', p_run.sprint_id,
        'spec_id', p_run.spec_id, 'correlation_id', p_run.correlation_id, 'attempt', p_run.attempt,
        'ci_run_id', p_run.ci_run_id, 'result', p_run.result,
        'sprint', jsonb_build_object('label', sprints.label, 'position', sprints.position, 'state', sprints.state,
            'dod_json', sprints.dod_json, 'plan_json', sprints.plan_json, 'session', sprints.session_json,
            'questions', sprints.questions_json, 'answers', sprints.answers_json, 'depends_on', private.describe_needed(sprints.id)),
        'spec', jsonb_build_object('storage_path', specs.storage_path, 'sha', specs.sha, 'repo', specs.repo,
            'branch', specs.branch, 'title', specs.title, 'name', specs.name, 'format', specs.format,
            'created_by', specs.created_by),
        'project', jsonb_build_object('id', projects.id, 'repo', projects.repo,
            'default_branch', projects.default_branch, 'policy', projects.policy),
        'previous', private.previous_work(sprints.id))
    from public.sprints
    join public.specs on specs.id = sprints.spec_id
    join public.projects on projects.id = sprints.project_id
    where sprints.id = p_run.sprint_id
$$;

-- Lets exactly one CI run in: the bound one, or the first to come. A later attempt of the same CI run takes over, for
-- GitHub begins it only when the earlier one is over.
create function public.start_run_v1(p_run_id uuid, p_ci_run_id text, p_ci_attempt integer) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_runner(p_run_id, 'build');
    sprint_state text;
begin
    if coalesce(p_ci_run_id, '') = '' or coalesce(p_ci_attempt, 0) < 1 then
        perform private.refuse(400, 'bad-ci-run', 'A run is started by a CI run and its attempt, counted from 1.',
            'Hand over GITHUB_RUN_ID and GITHUB_RUN_ATTEMPT.');
    end if;
    select state into sprint_state from public.sprints where id = run.sprint_id for update;
    if sprint_state = 'CANCELLED' then
        return private.describe_start(run, 'cancelled');
    end if;
    if run.result is not null then
        return private.describe_start(run, 'finished');
    end if;
    if coalesce(run.ci_run_id, p_ci_run_id) <> p_ci_run_id or coalesce(run.ci_attempt, 0) > p_ci_attempt then
        return private.describe_start(run, 'already-running');
    end if;
    if sprint_state <> 'RUNNING' then
        update public.sprints set state = 'RUNNING' where id = run.sprint_id;
    end if;
    update public.runs
    set ci_run_id = p_ci_run_id, ci_attempt = p_ci_attempt, bound_at = coalesce(bound_at, now()),
        started_at = coalesce(started_at, now()), last_seen_at = now()
    where id = run.id
    returning * into run;
    return private.describe_start(run, 'started');
end
$$;
revoke all on function public.start_run_v1(uuid, text, integer) from public, anon, authenticated, service_role;
grant execute on function public.start_run_v1(uuid, text, integer) to aicd_runner;

-- What only a run that has begun and is not over may do.
create function private.require_running(p_run_id uuid, p_scope text) returns public.runs
language plpgsql set search_path = '' as $$
declare
    run public.runs := private.require_runner(p_run_id, p_scope);
begin
    if run.started_at is null then
        perform private.refuse(409, 'run-not-started', 'This run was not started.', 'Call start_run_v1 first.');
    end if;
    if run.result is not null then
        perform private.refuse(409, 'run-finished', format('This run has ended as %s.', run.result),
            'Nothing can be added to it; ask for another run.');
    end if;
    update public.runs set last_seen_at = now() where id = run.id returning * into run;
    return run;
end
$$;

-- `p_event_id` makes a repeated call one event; the client makes it up. What happens before or after the runner's work
-- is not the runner's to say, and TESTS_PASSED is said only by the half that the agent cannot reach.
create function public.record_event_v1(p_run_id uuid, p_phase text, p_message text, p_metadata jsonb,
    p_event_id uuid default null) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, case p_phase when 'TESTS_PASSED' then 'publish' end);
    event_id uuid := coalesce(p_event_id, gen_random_uuid());
begin
    perform private.refuse_large(p_metadata, 'The metadata', 65536);
    if p_phase not in ('PLANNING', 'BUILD', 'TESTING', 'TESTS_PASSED', 'TESTS_FAILED', 'PAUSED', 'FAILED') then
        perform private.refuse(403, 'phase-not-yours', format('A runner does not record the phase %s.', p_phase),
            'PR_OPENED is written by record_pull_request_v1; the others are not the runner''s.');
    end if;
    insert into public.status_events (id, run_id, spec_id, phase, message, metadata)
    values (event_id, run.id, run.spec_id, p_phase, left(coalesce(p_message, ''), 10000), coalesce(p_metadata, '{}'))
    on conflict (id) do nothing;
    if not exists (select from public.status_events where id = event_id and run_id = run.id) then
        perform private.refuse(409, 'id-taken', 'This event id is in use.', 'Make up a new uuid.');
    end if;
    return event_id;
end
$$;
revoke all on function public.record_event_v1(uuid, text, text, jsonb, uuid)
    from public, anon, authenticated, service_role;
grant execute on function public.record_event_v1(uuid, text, text, jsonb, uuid) to aicd_runner;

-- One iteration of an agent; the same id again replaces what was known of it, so that it may be written at its start.
create function public.record_execution_v1(p_run_id uuid, p_execution jsonb) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, 'build');
    execution_id uuid;
begin
    perform private.refuse_large(p_execution, 'The execution', 65536);
    insert into public.agent_executions as known (id, run_id, iteration, agent, model, started_at, finished_at, result,
        cost_usd, input_tokens, output_tokens, metadata)
    select coalesce(given.id, gen_random_uuid()), run.id, coalesce(given.iteration, 1), given.agent, given.model,
        given.started_at, given.finished_at, given.result, coalesce(given.cost_usd, 0),
        coalesce(given.input_tokens, 0), coalesce(given.output_tokens, 0), coalesce(given.metadata, '{}')
    from jsonb_to_record(p_execution) as given (id uuid, iteration integer, agent text, model text,
        started_at timestamptz, finished_at timestamptz, result text, cost_usd numeric, input_tokens bigint,
        output_tokens bigint, metadata jsonb)
    on conflict (id) do update
    set finished_at = excluded.finished_at, result = excluded.result, cost_usd = excluded.cost_usd,
        input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, metadata = excluded.metadata
    where known.run_id = run.id
    returning known.id into execution_id;
    if execution_id is null then
        perform private.refuse(409, 'id-taken', 'This execution id is in use.', 'Make up a new uuid.');
    end if;
    return execution_id;
end
$$;
revoke all on function public.record_execution_v1(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.record_execution_v1(uuid, jsonb) to aicd_runner;

-- An artifact whose bytes are stored. The same id again changes nothing, and must be the same artifact. A job that is
-- run again may make other bytes of the same name: a run has each artifact once, as its last attempt made it.
create function public.record_artifact_v1(p_run_id uuid, p_artifact jsonb) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, 'publish');
    artifact_id uuid := (p_artifact ->> 'id')::uuid;
begin
    if p_artifact ->> 'storage_path' is distinct from run.id || '/' || artifact_id then
        perform private.refuse(400, 'bad-storage-path', 'An artifact is stored under RUN_ID/ARTIFACT_ID.',
            'Use the path that RunnerStore.put_artifact returns.');
    end if;
    insert into public.artifacts (id, run_id, kind, name, content_type, storage_path, size, sha256, store, encoding)
    select artifact_id, run.id, given.kind, coalesce(left(given.name, 1000), ''),
        coalesce(given.content_type, 'application/octet-stream'), given.storage_path, coalesce(given.size, 0),
        given.sha256, given.store, given.encoding
    from jsonb_to_record(p_artifact) as given (kind text, name text, content_type text, storage_path text, size bigint,
        sha256 text, store text, encoding text)
    on conflict (id) do nothing;
    if not exists (select from public.artifacts where id = artifact_id and run_id = run.id
                   and sha256 is not distinct from p_artifact ->> 'sha256') then
        perform private.refuse(409, 'id-taken', 'This artifact id is in use for something else.',
            'Derive the id from the run and the artifact''s name; other content is another artifact.');
    end if;
    delete from public.artifacts
    where run_id = run.id and id <> artifact_id and name <> '' and name = coalesce(left(p_artifact ->> 'name', 1000), '');
    return artifact_id;
end
$$;
revoke all on function public.record_artifact_v1(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.record_artifact_v1(uuid, jsonb) to aicd_runner;

-- As record_artifact_v1, which does it, in the caller's name and with all its checks; a refused one refuses all.
create function public.record_artifacts_v1(p_run_id uuid, p_artifacts jsonb) returns jsonb
language sql set search_path = '' as $$
    select coalesce(jsonb_agg(public.record_artifact_v1(p_run_id, item) order by position), '[]')
    from jsonb_array_elements(p_artifacts) with ordinality as given (item, position)
$$;
revoke all on function public.record_artifacts_v1(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.record_artifacts_v1(uuid, jsonb) to aicd_runner;

-- The figures of one earlier run that passed in the same project for the same branch: the one that made p_base, else the
-- last one. null where there is none. Figures only: a runner sees no other run. SECURITY DEFINER: as in mailboxes.sql.
create function public.describe_earlier_run_v1(p_run_id uuid, p_base text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, 'publish');
begin
    return (
        select jsonb_build_object('commit', earlier.commit_sha, 'finished_at', earlier.finished_at,
            'is_base', earlier.commit_sha is not distinct from p_base,
            'tests', earlier.summary_json #> '{verdict,tests,total}',
            'passed', earlier.summary_json #> '{verdict,tests,passed}',
            'coverage', earlier.summary_json #> '{verdict,coverage}',
            'e2e_passed', earlier.summary_json #> '{tests,e2e,passed}',
            'lighthouse_score', earlier.summary_json #> '{lighthouse,score}',
            'duration_seconds', earlier.summary_json -> 'duration_seconds')
        from public.runs as earlier
        join public.specs on specs.id = earlier.spec_id
        where earlier.project_id = run.project_id and earlier.id <> run.id and earlier.result = 'PASSED'
            and earlier.commit_sha is not null
            and specs.branch is not distinct from (select branch from public.specs where id = run.spec_id)
        order by earlier.commit_sha = p_base desc, earlier.finished_at desc
        limit 1);
end
$$;
revoke all on function public.describe_earlier_run_v1(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.describe_earlier_run_v1(uuid, text) to aicd_runner;

-- The run's branch and commit and, when there is a `url`, its pull request with a PR_OPENED event, once.
create function public.record_pull_request_v1(p_run_id uuid, p_pull_request jsonb) returns void
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, 'publish');
begin
    perform private.refuse_large(p_pull_request, 'The pull request', 16384);
    update public.runs
    set pull_request = case when p_pull_request ->> 'url' is null then pull_request else p_pull_request end,
        branch = coalesce(p_pull_request ->> 'branch', branch),
        commit_sha = coalesce(p_pull_request ->> 'commit', commit_sha)
    where id = run.id;
    if p_pull_request ->> 'url' is not null
        and p_pull_request ->> 'url' is distinct from run.pull_request ->> 'url' then
        perform private.record_event(run.spec_id, run.id, 'PR_OPENED', 'The pull request is open.', p_pull_request);
    end if;
end
$$;
revoke all on function public.record_pull_request_v1(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.record_pull_request_v1(uuid, jsonb) to aicd_runner;

-- One run has one result: the same again is the same answer, another one is refused. A run that never started may
-- only fail. → {result, next_run_ids: what this end let begin, in the order of the plan, next_run_id: the first of them}
create function public.finish_run_v1(p_run_id uuid, p_result text, p_summary jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs;
    sprint_state text;
    next_run_ids jsonb;
begin
    -- Before the run's lock, as everywhere: see lock_spec.
    perform private.lock_spec((select spec_id from public.runs where id = p_run_id));
    run := private.require_runner(p_run_id, 'publish');
    perform private.refuse_large(p_summary, 'The summary', 1048576);
    if p_result is null or p_result not in ('PASSED', 'FAILED') then
        perform private.refuse(400, 'bad-result', 'A run ends as PASSED or FAILED.', 'Hand over one of the two.');
    end if;
    if run.result is null then
        if run.started_at is null and p_result = 'PASSED' then
            perform private.refuse(409, 'run-not-started', 'A run that was not started cannot have passed.',
                'Call start_run_v1 first.');
        end if;
        update public.runs
        set result = p_result, finished_at = now(), last_seen_at = now(), summary_json = p_summary
        where id = run.id returning * into run;
        -- A sprint that was cancelled meanwhile stays cancelled; its run keeps its result.
        update public.sprints set state = case p_result when 'PASSED' then 'DONE' else 'FAILED' end
        where id = run.sprint_id and state <> 'CANCELLED' returning state into sprint_state;
        -- Kept in case that nothing would be judged any more. Now that it was, another try begins anew.
        if p_summary #>> '{verdict,result}' = 'FAILED' then
            perform private.replace_session(id, null) from public.sprints
            where id = run.sprint_id and session_json -> 'is_spent' = 'true';
        end if;
        perform private.record_event(run.spec_id, run.id, case p_result when 'PASSED' then 'TESTS_PASSED' else 'FAILED' end,
            format('The run has ended: %s.', p_result), jsonb_build_object('result', p_result))
        where p_result = 'FAILED' or not exists (
            select from public.status_events where run_id = run.id and phase = 'TESTS_PASSED');
        perform private.enqueue('notify', 'report:' || run.id,
            jsonb_build_object('template', 'report', 'spec_id', run.spec_id, 'run_id', run.id), run.correlation_id);
        if sprint_state = 'DONE' then
            perform private.open_ready_runs(run.spec_id);
        end if;
    elsif run.result <> p_result then
        perform private.refuse(409, 'run-finished', format('This run has ended as %s.', run.result),
            'Nothing can be added to it; ask for another run.');
    end if;
    -- Asked for anew, so that the second call gives the answer of the first: what this end opened was made with it, in
    -- one transaction, and so bears the same time.
    select coalesce(jsonb_agg(opened.id order by later.position), '[]') into next_run_ids
    from public.sprints as mine
    join public.sprints as later on later.spec_id = mine.spec_id and mine.label = any (later.depends_on)
    join public.runs as opened on opened.sprint_id = later.id and opened.created_at = run.finished_at
    where mine.id = run.sprint_id and run.result = 'PASSED';
    return jsonb_build_object('result', p_result, 'next_run_id', next_run_ids -> 0, 'next_run_ids', next_run_ids);
end
$$;
revoke all on function public.finish_run_v1(uuid, text, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.finish_run_v1(uuid, text, jsonb) to aicd_runner;
