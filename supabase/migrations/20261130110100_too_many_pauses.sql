-- Pauses have an end, and waits for which nobody named a time grow.

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
create or replace function public.pause_run_v1(p_run_id uuid, p_resume_at timestamptz, p_reason text, p_session jsonb default null)
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
