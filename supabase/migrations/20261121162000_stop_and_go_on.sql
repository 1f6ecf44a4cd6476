-- A cancelled specification stops its CI runs, and a run's end names everything that it let begin.

alter table public.outbox
    drop constraint outbox_kind_check,
    add constraint outbox_kind_check check (kind in ('dispatch', 'notify', 'cancel'));

-- Listeners hear of every new row; where pg_net and the settings are there, the function behind the row's kind is
-- called. tick finds whatever gets lost here, so a failure is a warning and never undoes the row.
-- SECURITY DEFINER: the settings hold the secret, and nobody else reads them.
create or replace function private.announce_outbox() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    url text;
    secret text;
    body jsonb;
begin
    perform pg_notify('aicd_outbox', jsonb_build_object('id', new.id, 'kind', new.kind)::text);
    if to_regprocedure('net.http_post(text,jsonb,jsonb,jsonb,integer)') is null then
        return null;
    end if;
    -- dispatch stops what it has started.
    select value into url from private.settings
    where name = 'webhook_url.' || case new.kind when 'cancel' then 'dispatch' else new.kind end;
    select value into secret from private.settings where name = 'webhook_secret';
    if url is null or secret is null then
        return null;
    end if;
    body := jsonb_build_object('type', 'INSERT', 'table', 'outbox', 'schema', 'public',
        'record', jsonb_build_object('id', new.id, 'kind', new.kind), 'old_record', null);
    -- pg_net sends the text of the jsonb, so that text is what is signed.
    perform net.http_post(url, body, '{}'::jsonb, private.webhook_headers(secret, body::text, clock_timestamp()), 5000);
    return null;
exception when others then
    raise warning 'outbox row % was not announced: %', new.id, sqlerrm;
    return null;
end
$$;

-- Has dispatch stop the CI run that holds a cancelled run.
create function private.stop_ci_run(p_run public.runs) returns void
language plpgsql set search_path = '' as $$
begin
    perform private.enqueue('cancel', 'cancel:' || p_run.id, jsonb_build_object('run_id', p_run.id,
        'spec_id', p_run.spec_id, 'ci_run_id', p_run.ci_run_id), p_run.correlation_id)
    where p_run.ci_run_id is not null;
end
$$;
revoke all on function private.stop_ci_run(public.runs) from public, anon, authenticated, service_role;

-- Ends everything that a specification still has before it: sprints that are not DONE are CANCELLED, their open runs
-- FAILED with the code `cancelled` and their CI runs stopped, work orders that nobody has carried out are dropped, and
-- the requester hears of it.
create or replace function public.cancel_spec_v1(p_spec_id uuid, p_reason text default '') returns jsonb
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

-- The first CI run that is bound stays; a later caller learns from the answer that his is one too many.
create or replace function public.bind_run_v1(p_run_id uuid, p_ci_run_id text, p_url text default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs;
begin
    perform private.require_role('aicd_functions');
    run := private.lock_run(p_run_id);
    if coalesce(run.ci_run_id, p_ci_run_id) = p_ci_run_id then
        update public.runs
        set ci_run_id = p_ci_run_id, ci_url = coalesce(ci_url, p_url), bound_at = coalesce(bound_at, now())
        where id = p_run_id returning * into run;
        -- It was cancelled while it was being dispatched, and only now is known what there is to stop.
        if run.summary_json #>> '{error,code}' = 'cancelled' then
            perform private.stop_ci_run(run);
        end if;
    end if;
    return jsonb_build_object('ci_run_id', run.ci_run_id);
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

