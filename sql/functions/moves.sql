-- Which moves are allowed. Enforced for everybody, the owner too; drawn in docs/states.md.

-- The allowed moves of a sprint. A sprint begins as PLANNED, NEEDS_INPUT or NEEDS_APPROVAL: p_from is null then.
create function private.sprint_may_move(p_from text, p_to text) returns boolean
language sql immutable parallel safe set search_path = '' as $$
    select p_to = any (case coalesce(p_from, '')
        when '' then array['PLANNED', 'NEEDS_INPUT', 'NEEDS_APPROVAL']
        -- FAILED without RUNNING: its run could not be dispatched.
        when 'PLANNED' then array['NEEDS_INPUT', 'NEEDS_APPROVAL', 'RUNNING', 'FAILED', 'CANCELLED']
        when 'NEEDS_INPUT' then array['PLANNED', 'NEEDS_APPROVAL', 'CANCELLED']
        when 'NEEDS_APPROVAL' then array['PLANNED', 'NEEDS_INPUT', 'CANCELLED']
        -- NEEDS_INPUT: the planner on the runner has questions. NEEDS_APPROVAL: it has a plan.
        when 'RUNNING' then array['DONE', 'FAILED', 'PAUSED', 'NEEDS_INPUT', 'NEEDS_APPROVAL', 'CANCELLED']
        -- It goes on with another run, and that one starts from PLANNED as every run does.
        when 'PAUSED' then array['PLANNED', 'CANCELLED']
        -- Somebody asks for another try.
        when 'FAILED' then array['PLANNED', 'CANCELLED']
        else array[]::text[]
    end)
$$;

-- PENDING ends as DONE or DEAD; an operator may bring a dead one back.
create function private.outbox_may_move(p_from text, p_to text) returns boolean
language sql immutable parallel safe set search_path = '' as $$
    select p_to = any (case coalesce(p_from, '')
        when '' then array['PENDING']
        when 'PENDING' then array['DONE', 'DEAD']
        when 'DEAD' then array['PENDING']
        else array[]::text[]
    end)
$$;

create function private.refuse_move(p_noun text, p_from text, p_to text) returns void
language plpgsql set search_path = '' as $$
begin
    perform private.refuse(409, 'illegal-move',
        format('%s does not move from %s to %s.', p_noun, coalesce(p_from, 'nothing'), coalesce(p_to, 'nothing')),
        'docs/states.md draws the allowed moves.');
end
$$;

create function private.guard_sprint() returns trigger
language plpgsql set search_path = '' as $$
declare
    before text := case when tg_op = 'UPDATE' then old.state end;
begin
    if new.state is distinct from before and not private.sprint_may_move(before, new.state) then
        perform private.refuse_move('A sprint', before, new.state);
    end if;
    return new;
end
$$;
create trigger guard_sprint before insert or update on public.sprints
    for each row execute function private.guard_sprint();

-- A run begins without result and gets one, once. What it was bound to and when it began never changes.
create function private.guard_run() returns trigger
language plpgsql set search_path = '' as $$
begin
    if tg_op = 'INSERT' and new.result is not null then
        perform private.refuse_move('A run', null, new.result);
    end if;
    if tg_op = 'UPDATE' then
        if old.result is not null and new.result is distinct from old.result then
            perform private.refuse_move('A run', old.result, new.result);
        end if;
        if old.result is not null
                and (new.summary_json, new.finished_at) is distinct from (old.summary_json, old.finished_at)
            or old.started_at is not null and new.started_at is distinct from old.started_at
            or old.ci_run_id is not null and new.ci_run_id is distinct from old.ci_run_id then
            perform private.refuse(409, 'illegal-move', 'A run keeps its CI run, its start, its end and its summary.',
                'docs/states.md draws the allowed moves.');
        end if;
        if old.result is null and new.result is not null then
            new.finished_at := coalesce(new.finished_at, now());
        end if;
    end if;
    return new;
end
$$;
create trigger guard_run before insert or update on public.runs
    for each row execute function private.guard_run();

create function private.guard_outbox() returns trigger
language plpgsql set search_path = '' as $$
declare
    before text := case when tg_op = 'UPDATE' then old.state end;
begin
    if new.state is distinct from before and not private.outbox_may_move(before, new.state) then
        perform private.refuse_move('An outbox row', before, new.state);
    end if;
    new.done_at := case new.state when 'DONE' then coalesce(new.done_at, now()) end;
    new.dead_at := case new.state when 'DEAD' then coalesce(new.dead_at, now()) end;
    return new;
end
$$;
create trigger guard_outbox before insert or update on public.outbox
    for each row execute function private.guard_outbox();

-- The columns named as arguments never change once written.
create function private.guard_identity() returns trigger
language plpgsql set search_path = '' as $$
declare
    fixed text;
begin
    foreach fixed in array tg_argv loop
        if to_jsonb(new) -> fixed is distinct from to_jsonb(old) -> fixed then
            perform private.refuse(409, 'illegal-move', format('%s.%s never changes.', tg_table_name, fixed),
                'Write a new row instead.');
        end if;
    end loop;
    return new;
end
$$;
create trigger guard_identity before update on public.messages for each row
    execute function private.guard_identity('id', 'mailbox_id', 'gmail_id', 'sender', 'rfc_message_id', 'state');
create trigger guard_identity before update on public.specs for each row
    execute function private.guard_identity('id', 'project_id', 'repo', 'storage_path', 'sha', 'created_by');
-- What came by API belongs to no mail until the same comes by mail.
create trigger guard_message before update on public.specs for each row when (old.message_id is not null)
    execute function private.guard_identity('message_id');
create trigger guard_identity before update on public.sprints for each row
    execute function private.guard_identity('id', 'spec_id', 'project_id', 'position');
-- Until it is planned, a sprint is a placeholder.
create trigger guard_plan before update on public.sprints for each row when (old.plan_json is not null)
    execute function private.guard_identity('label', 'depends_on', 'plan_json');
create trigger guard_identity before update on public.runs for each row
    execute function private.guard_identity('id', 'sprint_id', 'spec_id', 'project_id', 'attempt');
create trigger guard_identity before update on public.outbox for each row
    execute function private.guard_identity('id', 'kind', 'payload', 'idempotency_key');

create function private.refuse_rewriting() returns trigger
language plpgsql set search_path = '' as $$
begin
    perform private.refuse(409, 'append-only', format('%s is only ever added to.', tg_table_name),
        'Add a row that says what is so now.');
    return null;
end
$$;
-- DELETE is judged row by row: keep_audit_log, in retention.sql.
create trigger append_only before update or truncate on public.audit_log
    for each statement execute function private.refuse_rewriting();
