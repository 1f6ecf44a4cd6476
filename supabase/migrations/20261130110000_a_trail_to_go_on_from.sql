-- A run that breaks off leaves a trail: where its sprint goes on is written down while it works, and outlives its end.

-- Writes down where a sprint goes on, or with null that it begins anew. Each archive holds everything, so the one that
-- was named before goes. Only the sprint's own: what a runner wrote there is its word.
create function private.replace_session(p_sprint_id uuid, p_session jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    before text;
begin
    select session_json ->> 'path' into before from public.sprints where id = p_sprint_id for update;
    update public.sprints set session_json = p_session where id = p_sprint_id;
    delete from private.expired_objects where bucket = 'sessions' and path = p_session ->> 'path' and reason = 'orphan';
    insert into private.expired_objects (bucket, path, reason)
    select 'sessions', before, 'orphan'
    where before is distinct from p_session ->> 'path' and starts_with(before, p_sprint_id || '/')
    on conflict (bucket, path) do update set marked_at = now(), removed_at = null
    where expired_objects.reason = 'orphan';
end
$$;
revoke all on function private.replace_session(uuid, jsonb) from public, anon, authenticated, service_role;

-- Where the sprint goes on, if this run breaks off from here: nothing ends by it. null: it is to begin anew. Scope build.
create function public.keep_session_v1(p_run_id uuid, p_session jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, 'build');
    kept jsonb := nullif(p_session, 'null');
begin
    perform private.refuse_large(kept, 'The session', 65536);
    if jsonb_typeof(kept) <> 'object' then
        perform private.refuse(400, 'bad-session', 'A session is an object, or null.', 'Hand over {path, agent, session}.');
    end if;
    perform private.replace_session(run.sprint_id, kept);
    return jsonb_build_object('run_id', run.id, 'sprint_id', run.sprint_id, 'session', kept);
end
$$;
revoke all on function public.keep_session_v1(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.keep_session_v1(uuid, jsonb) to aicd_runner;

-- Another try of a sprint that failed, or now and not later of one that is paused: PLANNED, with a new run. Where one is
-- under way it is the answer.
create or replace function public.retry_sprint_v1(p_sprint_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    sprint public.sprints := private.require_sprint(p_sprint_id);
begin
    if sprint.state in ('FAILED', 'PAUSED') then
        -- With what was kept for going on, also of a run that failed: one whose work was judged has forgotten it.
        update public.sprints set state = 'PLANNED', resume_at = null where id = sprint.id;
        perform private.audit('retry_sprint', 'sprints', sprint.id::text, sprint.project_id,
            jsonb_build_object('label', sprint.label, 'was', sprint.state));
        perform private.open_ready_runs(sprint.spec_id);
    elsif not exists (select from public.runs where sprint_id = sprint.id and result is null) then
        perform private.refuse(409, 'sprint-not-failed', format('This sprint is %s.', sprint.state),
            'Only a sprint that is FAILED or PAUSED is tried again.');
    end if;
    return private.describe_sprint(sprint.id);
end
$$;

-- p_questions: [{id, text, blocking}] → {run_id, sprint_id}. The run ends (FAILED, with the status NEEDS_INPUT in its
-- summary), its sprint waits for the requester's answer, p_session waits with it for the run after that, and the
-- questions go out by mail. Again: the same answer. Scope build.
create or replace function public.ask_requester_v1(p_run_id uuid, p_questions jsonb, p_session jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_runner(p_run_id, 'build');
begin
    perform private.refuse_bad_questions(p_questions);
    perform private.refuse_large(p_session, 'The session', 65536);
    if run.summary_json ->> 'status' is distinct from 'NEEDS_INPUT' then
        run := private.require_running(p_run_id, 'build');
        perform private.set_aside(run, 'PLANNING', 'The requester is asked.', jsonb_build_object('status', 'NEEDS_INPUT',
            'questions', p_questions, 'error',
            jsonb_build_object('code', 'needs-input', 'message', 'The requester''s answer is needed to go on.')));
        -- Questions of earlier rounds stay: their answers would make no sense without them.
        update public.sprints
        set state = 'NEEDS_INPUT', questions_json = questions_json || (
            select jsonb_agg(asked || jsonb_build_object('run_id', run.id, 'asked_at', now()))
            from jsonb_array_elements(p_questions) as asked)
        where id = run.sprint_id;
        if p_session <> '{}' then
            perform private.replace_session(run.sprint_id, p_session);
        end if;
        perform private.enqueue('notify', 'needs_input:' || run.id, jsonb_build_object('template', 'needs_input',
            'spec_id', run.spec_id, 'message_id', (select message_id from public.specs where id = run.spec_id),
            'run_id', run.id), run.correlation_id);
    end if;
    return jsonb_build_object('run_id', run.id, 'sprint_id', run.sprint_id);
end
$$;

-- One run has one result: the same again is the same answer, another one is refused. A run that never started may
-- only fail. → {result, next_run_ids: what this end let begin, in the order of the plan, next_run_id: the first of them}
create or replace function public.finish_run_v1(p_run_id uuid, p_result text, p_summary jsonb) returns jsonb
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

-- Marks objects that are older than a day and that no row names: their writer died between the two. Of artifacts and
-- sessions only those of runs that are over, for an open run may still write its row; a sprint that is over needs no
-- session. Looked for once an hour: it reads every object.
create or replace function private.mark_orphans(p_limit integer) returns void
language plpgsql set search_path = '' as $$
begin
    insert into private.settings as known (name, value) values ('orphans_looked_for_at', now()::text)
    on conflict (name) do update set value = excluded.value where known.value::timestamptz < now() - interval '1 hour';
    if not found then
        return;
    end if;
    insert into private.expired_objects (bucket, path, reason)
    select bucket_id, objects.name, 'orphan' from storage.objects
    where objects.created_at < now() - interval '1 day' and private.uuid_of_path(objects.name) is not null
        and (bucket_id = 'specs'
                and not exists (select from public.specs where storage_path = objects.name)
            or bucket_id = 'sessions'
                and not exists (select from public.sprints
                                where id = private.uuid_of_path(objects.name) and session_json ->> 'path' = objects.name
                                    and state not in ('DONE', 'CANCELLED'))
                and not exists (select from public.runs
                                where sprint_id = private.uuid_of_path(objects.name) and result is null)
            or bucket_id = 'artifacts'
                and not exists (select from public.artifacts where storage_path = objects.name)
                and not exists (select from public.runs
                                where runs.id = private.uuid_of_path(objects.name) and result is null))
    limit p_limit
    on conflict do nothing;
end
$$;

-- Until now what a failed sprint had kept was dropped when it was tried again.
update public.sprints set session_json = null where state = 'FAILED';
