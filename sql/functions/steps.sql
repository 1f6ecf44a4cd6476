-- Steps that several verbs share. Not granted to anybody: the verbs run with the owner's rights.

-- Writes down work for the other half; the same key twice is one piece of work. True when it is new.
create function private.enqueue(p_kind text, p_key text, p_payload jsonb, p_correlation_id text) returns boolean
language plpgsql set search_path = '' as $$
begin
    insert into public.outbox (kind, payload, idempotency_key, correlation_id)
    values (p_kind, p_payload, p_key, coalesce(p_correlation_id, ''))
    on conflict (idempotency_key) do nothing;
    return found;
end
$$;

-- Who: a member by his id, our own tokens by role and jti, the operator by his database role.
create function private.audit(p_action text, p_table text, p_subject text, p_project_id uuid, p_details jsonb)
returns void
language sql set search_path = '' as $$
    insert into public.audit_log (actor, action, subject_table, subject_id, project_id, details)
    values (
        case private.claims() ->> 'role'
            when 'authenticated' then 'authenticated:' || coalesce(private.claims() ->> 'sub', '')
            else coalesce((private.claims() ->> 'role') || ':'
                || coalesce(private.claims() ->> 'jti', private.claims() ->> 'sub', ''), session_user)
        end,
        p_action, p_table, p_subject, p_project_id, coalesce(p_details, '{}'))
$$;

create function private.record_event(p_spec_id uuid, p_run_id uuid, p_phase text, p_message text, p_metadata jsonb)
returns uuid
language sql set search_path = '' as $$
    insert into public.status_events (spec_id, run_id, phase, message, metadata)
    values (p_spec_id, p_run_id, p_phase, left(coalesce(p_message, ''), 10000), coalesce(p_metadata, '{}'))
    returning id
$$;

-- The open run of a sprint that is ready to be built, made if need be, with the work order to dispatch it.
create function private.open_run(p_sprint_id uuid) returns uuid
language plpgsql set search_path = '' as $$
declare
    made public.runs;
    next_attempt integer;
begin
    -- The sprint's lock: two callers must not both find that there is no open run.
    perform from public.sprints where id = p_sprint_id for update;
    select * into made from public.runs where sprint_id = p_sprint_id and result is null;
    if made.id is null then
        select coalesce(max(attempt), 0) + 1 into next_attempt from public.runs where sprint_id = p_sprint_id;
        insert into public.runs (id, sprint_id, attempt, correlation_id)
        select private.derived_id('run:' || p_sprint_id || ':' || next_attempt), sprints.id, next_attempt,
            specs.correlation_id
        from public.sprints join public.specs on specs.id = sprints.spec_id
        where sprints.id = p_sprint_id
        returning * into made;
    end if;
    perform private.enqueue('dispatch', 'dispatch:' || made.id,
        jsonb_build_object('run_id', made.id, 'spec_id', made.spec_id, 'sprint_id', made.sprint_id),
        made.correlation_id);
    return made.id;
end
$$;

-- Whoever moves several sprints of a specification, or opens runs of it, takes this lock first: otherwise two sprints
-- that end at once would each not see the other's end, and what waits for both would never begin. The order of locks
-- is specification, outbox row, run, sprint. NO KEY UPDATE: rows that refer to the specification may still be added.
create function private.lock_spec(p_spec_id uuid) returns void
language plpgsql set search_path = '' as $$
begin
    perform from public.specs where id = p_spec_id for no key update;
end
$$;
revoke all on function private.lock_spec(uuid) from public, anon, authenticated, service_role;

-- Opens a run for every sprint that waits for nothing but its turn: PLANNED, and all that it depends on is DONE.
create function private.open_ready_runs(p_spec_id uuid) returns void
language plpgsql set search_path = '' as $$
begin
    perform private.lock_spec(p_spec_id);
    perform private.open_run(ready.id)
    from (
        select sprints.id from public.sprints
        where sprints.spec_id = p_spec_id and sprints.state = 'PLANNED'
            and not exists (
                select from public.sprints as needed
                where needed.spec_id = p_spec_id and needed.label = any (sprints.depends_on) and needed.state <> 'DONE')
        order by sprints.position) as ready;
end
$$;
revoke all on function private.open_ready_runs(uuid) from public, anon, authenticated, service_role;

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

-- Ends a locked, open run that nobody will finish: run and sprint FAILED, an event, a report to the requester.
create function private.fail_run(p_run public.runs, p_code text, p_reason text) returns void
language plpgsql set search_path = '' as $$
begin
    update public.runs
    set result = 'FAILED', finished_at = now(),
        summary_json = jsonb_build_object('status', 'FAILED', 'error',
            jsonb_build_object('code', p_code, 'message', left(p_reason, 10000)))
    where id = p_run.id;
    update public.sprints set state = 'FAILED'
    where id = p_run.sprint_id and private.sprint_may_move(state, 'FAILED');
    perform private.record_event(p_run.spec_id, p_run.id, 'FAILED', p_reason, jsonb_build_object('code', p_code));
    perform private.enqueue('notify', 'report:' || p_run.id,
        jsonb_build_object('template', 'report', 'spec_id', p_run.spec_id, 'run_id', p_run.id), p_run.correlation_id);
    perform private.audit('abandon_run', 'runs', p_run.id::text, p_run.project_id,
        jsonb_build_object('code', p_code, 'reason', p_reason));
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

-- The cursor never moves back: pushes arrive in any order.
create function private.move_cursor(p_mailbox_id uuid, p_history_id text) returns text
language plpgsql set search_path = '' as $$
declare
    cursor_now numeric;
begin
    if p_history_id is not null and p_history_id !~ '^[0-9]{1,20}$' then
        perform private.refuse(400, 'bad-history-id', 'A history id is a number of at most 20 digits.',
            'Hand over what Gmail gave, as text.');
    end if;
    update public.mailboxes set history_id = greatest(history_id, p_history_id::numeric)
    where id = p_mailbox_id
    returning history_id into cursor_now;
    if not found then
        perform private.refuse(404, 'mailbox-not-found', 'There is no such mailbox.',
            'Add it: the operator''s create_mailbox_v1.');
    end if;
    return cursor_now::text;
end
$$;

-- The rows of the allow-list that let this address in: its own, or its domain's.
create function private.senders_of(p_sender text) returns setof public.senders
language sql stable set search_path = '' as $$
    select * from public.senders
    where pattern in (lower(p_sender), '*@' || lower(substring(p_sender from '@([^@]+)$')))
$$;
