-- What is decided about a specification after it came in: approve, answer, retry, cancel, pause, wake.
-- SECURITY DEFINER throughout, those that members may call too: nobody but the owner may write a table, so a member's
-- verb cannot work with the member's rights. Each begins by asking who calls. (Supabase's advisor lists such verbs as
-- authenticated_security_definer_function_executable; they are meant.)

-- {sprint_id, spec_id, label, state, resume_at, run_id: the open run, else the last one}
create function private.describe_sprint(p_sprint_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('sprint_id', sprints.id, 'spec_id', spec_id, 'label', label, 'state', state,
        'resume_at', resume_at, 'run_id', (
            select runs.id from public.runs where runs.sprint_id = sprints.id order by attempt desc limit 1))
    from public.sprints where sprints.id = p_sprint_id
$$;

-- The sprint, locked, if the caller may decide about it.
create function private.require_sprint(p_sprint_id uuid) returns public.sprints
language plpgsql set search_path = '' as $$
declare
    sprint public.sprints;
begin
    select * into sprint from public.sprints where id = p_sprint_id;
    perform private.require_maintainer(sprint.project_id, 'sprint');
    perform private.lock_spec(sprint.spec_id);
    perform private.refuse_expired(sprint.spec_id);
    select * into sprint from public.sprints where id = p_sprint_id for update;
    return sprint;
end
$$;

-- A maintainer agrees to the plan. Again: the same answer.
create function public.approve_sprint_v1(p_sprint_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    sprint public.sprints := private.require_sprint(p_sprint_id);
begin
    if sprint.state = 'NEEDS_APPROVAL' then
        update public.sprints set state = 'PLANNED', approved_at = now() where id = sprint.id;
        perform private.record_event(sprint.spec_id, null, 'PLANNING', format('%s was approved.', sprint.label),
            jsonb_build_object('sprint', sprint.label));
        perform private.audit('approve_sprint', 'sprints', sprint.id::text, sprint.project_id,
            jsonb_build_object('label', sprint.label));
        perform private.open_ready_runs(sprint.spec_id);
    elsif sprint.approved_at is null or sprint.state = 'CANCELLED' then
        perform private.refuse(409, 'sprint-not-waiting', format('This sprint is %s and waits for no approval.', sprint.state),
            'Only a sprint in NEEDS_APPROVAL is approved.');
    end if;
    return private.describe_sprint(sprint.id);
end
$$;
revoke all on function public.approve_sprint_v1(uuid) from public, anon, authenticated, service_role;
grant execute on function public.approve_sprint_v1(uuid) to authenticated;

-- Another try of a sprint that failed, or now and not later of one that is paused: PLANNED, with a new run. Where one is
-- under way it is the answer.
create function public.retry_sprint_v1(p_sprint_id uuid) returns jsonb
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
revoke all on function public.retry_sprint_v1(uuid) from public, anon, authenticated, service_role;
grant execute on function public.retry_sprint_v1(uuid) to authenticated;

-- Ends an open, locked run by decision: FAILED without a report of its own.
create function private.set_aside(p_run public.runs, p_phase text, p_message text, p_summary jsonb) returns void
language plpgsql set search_path = '' as $$
begin
    update public.runs set result = 'FAILED', finished_at = now(), summary_json = p_summary where id = p_run.id;
    perform private.record_event(p_run.spec_id, p_run.id, p_phase, p_message, p_summary);
end
$$;

-- Ends everything that a specification still has before it: sprints that are not DONE are CANCELLED, their open runs
-- FAILED with the code `cancelled` and their CI runs stopped, work orders that nobody has carried out are dropped, and
-- the requester hears of it.
create function public.cancel_spec_v1(p_spec_id uuid, p_reason text default '') returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    spec public.specs;
    run public.runs;
    said text := 'The specification was cancelled.' || coalesce(' ' || nullif(left(btrim(p_reason), 1000), ''), '');
    summary jsonb := jsonb_build_object('status', 'FAILED', 'error', jsonb_build_object('code', 'cancelled', 'message', said));
begin
    select * into spec from public.specs where id = p_spec_id;
    perform private.require_maintainer(spec.project_id, 'specification');
    perform private.lock_spec(spec.id);
    perform private.refuse_expired(spec.id);
    if not exists (select from public.sprints where spec_id = spec.id and state <> 'DONE') then
        perform private.refuse(409, 'spec-done', 'Every sprint of this specification is done.', 'There is nothing to cancel.');
    end if;
    -- The locks in their order (lock_spec), before any of these rows is changed.
    perform from public.outbox
    where payload ->> 'spec_id' = spec.id::text and kind = 'dispatch' and state = 'PENDING' order by id for update;
    perform from public.runs where spec_id = spec.id and result is null order by id for update;
    update public.sprints set state = 'CANCELLED', resume_at = null
    where spec_id = spec.id and state not in ('DONE', 'CANCELLED');
    if found then
        perform private.audit('cancel_spec', 'specs', spec.id::text, spec.project_id, jsonb_build_object('reason', p_reason));
        perform private.enqueue('notify', 'spec_cancelled:' || spec.id, jsonb_build_object('template', 'spec_cancelled',
            'spec_id', spec.id, 'message_id', spec.message_id, 'reason', said), spec.correlation_id);
        if not exists (select from public.runs where spec_id = spec.id and result is null) then
            perform private.record_event(spec.id, null, 'FAILED', said, summary -> 'error');
        end if;
    end if;
    for run in select * from public.runs where spec_id = spec.id and result is null order by id for update loop
        perform private.set_aside(run, 'FAILED', said, summary);
        perform private.stop_ci_run(run);
    end loop;
    update public.outbox
    set state = 'DONE', result = '{"outcome": "cancelled"}', lease_id = null, lease_expires_at = null
    where payload ->> 'spec_id' = spec.id::text and kind = 'dispatch' and state = 'PENDING';
    return jsonb_build_object('spec_id', spec.id, 'sprints', (
        select jsonb_agg(private.describe_sprint(id) order by position) from public.sprints where spec_id = spec.id));
end
$$;
revoke all on function public.cancel_spec_v1(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.cancel_spec_v1(uuid, text) to authenticated;

-- Keeps an answer with the sprint that waits for it, and has that go on. The caller has looked at the answer.
create function private.take_answer(p_sprint_id uuid, p_reply jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    sprint public.sprints;
begin
    select * into sprint from public.sprints where id = p_sprint_id;
    if sprint.id is null then
        perform private.refuse(404, 'sprint-not-found', 'There is no such sprint.', 'Check the sprint id.');
    end if;
    perform private.lock_spec(sprint.spec_id);
    perform private.refuse_expired(sprint.spec_id);
    select * into sprint from public.sprints where id = p_sprint_id for update;
    if sprint.answers_json @> jsonb_build_array(jsonb_build_object('id', p_reply ->> 'id')) then
        return;
    end if;
    if sprint.state <> 'NEEDS_INPUT' then
        perform private.refuse(409, 'sprint-not-waiting', format('This sprint is %s and waits for no answer.', sprint.state),
            'Only a sprint in NEEDS_INPUT is answered.');
    end if;
    -- Whoever was asked while the plan waited for approval has not approved it.
    update public.sprints
    set state = case questions_json -> -1 ->> 'was' when 'NEEDS_APPROVAL' then 'NEEDS_APPROVAL' else 'PLANNED' end,
        answers_json = answers_json || jsonb_build_array(jsonb_build_object('id', p_reply ->> 'id',
        'text', p_reply ->> 'text', 'answered_by', p_reply ->> 'answered_by', 'answered_at', now()))
    where id = sprint.id;
    perform private.record_event(sprint.spec_id, null, 'PLANNING', format('The questions about %s were answered.', sprint.label),
        jsonb_build_object('sprint', sprint.label));
    perform private.audit('answer_sprint', 'sprints', sprint.id::text, sprint.project_id,
        jsonb_build_object('label', sprint.label, 'answer_id', p_reply ->> 'id', 'answered_by', p_reply ->> 'answered_by'));
    perform private.open_ready_runs(sprint.spec_id);
end
$$;

-- The requester's reply: {id, text, answered_by}. It is kept with the sprint, which goes on. The same id again is the
-- same answer. Mail comes through ingest_reply_v1; this is for what came another way, and for the operator.
create function public.answer_sprint_v1(p_sprint_id uuid, p_reply jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
    if not private.is_operator() then
        perform private.require_role('aicd_functions');
    end if;
    perform private.refuse_large(p_reply, 'The reply', 262144);
    if coalesce(p_reply ->> 'text', '') !~ '\S' or coalesce(p_reply ->> 'id', '') = '' then
        perform private.refuse(400, 'bad-answer', 'An answer has an id and a text.', 'Hand over both.');
    end if;
    perform private.take_answer(p_sprint_id, p_reply);
    return private.describe_sprint(p_sprint_id);
end
$$;
revoke all on function public.answer_sprint_v1(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.answer_sprint_v1(uuid, jsonb) to aicd_functions;

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

-- How many runs of the sprint were paused one after the other, just before this one.
create function private.pauses_before(p_run public.runs) returns integer
language sql stable set search_path = '' as $$
    with earlier as (
        select attempt, summary_json ->> 'status' is not distinct from 'PAUSED' as was_paused
        from public.runs where sprint_id = p_run.sprint_id and attempt < p_run.attempt
    )
    select count(*)::integer from earlier
    where attempt > coalesce((select max(attempt) from earlier where not was_paused), 0)
$$;
revoke all on function private.pauses_before(public.runs) from public, anon, authenticated, service_role;

-- A usage limit was met: this run ends (FAILED, with the status PAUSED in its summary: it did not pass, and a run has
-- no third result), and its sprint waits until p_resume_at for another one, which finds p_session where it starts. No
-- report is sent, for nothing is decided. The same again is the same answer. Where nobody named a time (null) the waits
-- grow from pause to pause, 2, 4, 8 … 240 minutes. Without p_session what was kept before stays. A project has an end
-- of its patience: `max_pauses` in its policy, 24 in a row. Scope build.
create function public.pause_run_v1(p_run_id uuid, p_resume_at timestamptz, p_reason text, p_session jsonb default null)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_runner(p_run_id, 'build');
    pauses integer;
    most numeric;
    wakes_at timestamptz;
    summary jsonb;
begin
    perform private.refuse_large(p_session, 'The session', 65536);
    if p_resume_at > now() + interval '31 days' then
        perform private.refuse(400, 'bad-resume-at', 'A pause ends at a time within the next 31 days.',
            'Hand over when the limit is lifted; a run that cannot go on fails instead.');
    end if;
    if run.summary_json ->> 'status' is distinct from 'PAUSED' then
        run := private.require_running(p_run_id, 'build');
        pauses := private.pauses_before(run);
        select coalesce(private.policy_figure(policy, 'max_pauses'), 24) into most from public.projects where id = run.project_id;
        if pauses >= most then
            perform private.refuse(409, 'too-many-pauses',
                format('This sprint was paused %s times in a row already, and its project allows no more.', pauses),
                'When the limit is lifted: aicd sprint retry. `max_pauses` in the project''s policy says how many.');
        end if;
        -- A time that has passed would have tick start run after run.
        wakes_at := greatest(coalesce(p_resume_at, now() + make_interval(mins => least(2 ^ least(pauses + 1, 8), 240)::integer)),
            now() + interval '1 minute');
        summary := jsonb_build_object('status', 'PAUSED', 'resume_at', wakes_at, 'error',
            jsonb_build_object('code', 'paused', 'message', left(coalesce(p_reason, ''), 10000)));
        perform private.set_aside(run, 'PAUSED', p_reason, summary);
        update public.sprints set state = 'PAUSED', resume_at = wakes_at where id = run.sprint_id;
        if p_session <> '{}' then
            perform private.replace_session(run.sprint_id, p_session);
        end if;
        run.summary_json := summary;
    end if;
    return jsonb_build_object('run_id', run.id, 'sprint_id', run.sprint_id, 'resume_at', run.summary_json -> 'resume_at');
end
$$;
revoke all on function public.pause_run_v1(uuid, timestamptz, text, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.pause_run_v1(uuid, timestamptz, text, jsonb) to aicd_runner;

-- Has paused sprints go on whose time has come; the ids of their new runs. One that somebody else holds waits a minute.
create function public.wake_sprints_v1(p_limit integer default 100) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    due public.sprints;
    woken jsonb := '[]';
begin
    perform private.require_role('aicd_functions');
    for due in
        select * from public.sprints where state = 'PAUSED' and resume_at <= now()
        order by resume_at limit least(greatest(p_limit, 0), 1000)
    loop
        perform from public.specs where id = due.spec_id for no key update skip locked;
        continue when not found;
        update public.sprints set state = 'PLANNED', resume_at = null
        where id = due.id and state = 'PAUSED' and resume_at <= now();
        continue when not found;
        perform private.open_ready_runs(due.spec_id);
        woken := woken || (private.describe_sprint(due.id) -> 'run_id');
    end loop;
    return woken;
end
$$;
revoke all on function public.wake_sprints_v1(integer) from public, anon, authenticated, service_role;
grant execute on function public.wake_sprints_v1(integer) to aicd_functions;

revoke all on function private.describe_sprint(uuid), private.require_sprint(uuid), private.take_answer(uuid, jsonb),
    private.set_aside(public.runs, text, text, jsonb) from public, anon, authenticated, service_role;
