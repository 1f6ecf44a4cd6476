-- The operator's hand on the outbox: what is waiting or dead, once more, or never again.
-- Invoker rights: granted to nobody, called by the owner over a direct connection.

-- Whom and what a row is about, for a person who has to decide.
create function private.describe_outbox(p_row public.outbox) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('id', p_row.id, 'kind', p_row.kind, 'template', p_row.payload ->> 'template',
        'channel', p_row.payload ->> 'channel', 'state', p_row.state, 'attempts', p_row.attempts, 'last_error', p_row.last_error,
        'created_at', p_row.created_at, 'next_attempt_at', case p_row.state when 'PENDING' then p_row.next_attempt_at end,
        'leased_until', case when p_row.lease_expires_at > now() then p_row.lease_expires_at end,
        'done_at', p_row.done_at, 'dead_at', p_row.dead_at, 'correlation_id', p_row.correlation_id,
        'idempotency_key', p_row.idempotency_key, 'run_id', p_row.payload ->> 'run_id', 'spec_id', specs.id,
        'repo', specs.repo, 'requester', coalesce(specs.created_by, messages.sender))
    from (select) as always
    left join public.runs on runs.id = (p_row.payload ->> 'run_id')::uuid
    left join public.specs on specs.id = coalesce((p_row.payload ->> 'spec_id')::uuid, runs.spec_id)
    left join public.messages on messages.id = coalesce((p_row.payload ->> 'message_id')::uuid, specs.message_id)
$$;
revoke all on function private.describe_outbox(public.outbox) from public, anon, authenticated, service_role;

-- Rows in one state, or with null those that are not done: dead ones first, then what is due next.
create function public.list_outbox_v1(p_state text default null, p_limit integer default 100) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    if p_state is not null and p_state not in ('PENDING', 'DONE', 'DEAD') then
        perform private.refuse(400, 'bad-state', 'An outbox row is PENDING, DONE or DEAD.', 'Ask for one of the three.');
    end if;
    return (
        select coalesce(jsonb_agg(private.describe_outbox(listed) order by listed.dead_at desc nulls last,
            listed.next_attempt_at, listed.id), '[]')
        from (
            select outbox.* from public.outbox
            where state = p_state or p_state is null and state <> 'DONE'
            order by dead_at desc nulls last, next_attempt_at, id
            limit least(greatest(p_limit, 1), 1000)) as listed);
end
$$;
revoke all on function public.list_outbox_v1(text, integer) from public, anon, authenticated, service_role;

create function private.lock_outbox(p_id uuid) returns public.outbox
language plpgsql set search_path = '' as $$
declare
    found_row public.outbox;
begin
    select * into found_row from public.outbox where id = p_id for update;
    if found_row.id is null then
        perform private.refuse(404, 'outbox-row-not-found', 'There is no such outbox row.', 'aicd outbox list shows them.');
    end if;
    return found_row;
end
$$;
revoke all on function private.lock_outbox(uuid) from public, anon, authenticated, service_role;

-- A dead work order whose run has failed cannot start that run any more: its sprint gets another one. The new run's id.
create function private.replace_dead_dispatch(p_dead public.outbox, p_run public.runs) returns uuid
language plpgsql set search_path = '' as $$
declare
    sprint public.sprints;
    next_run_id uuid;
begin
    select * into sprint from public.sprints where id = p_run.sprint_id for update;
    if sprint.state <> 'FAILED'
        or exists (select from public.runs where sprint_id = sprint.id and attempt > p_run.attempt) then
        perform private.refuse(409, 'sprint-went-on', format('The sprint of this work order is %s by now.', sprint.state),
            'There is nothing left to start: drop the row.');
    end if;
    update public.sprints set state = 'PLANNED' where id = sprint.id;
    next_run_id := private.open_run(sprint.id);
    -- DEAD leads to DONE only through PENDING (docs/states.md); nobody can claim the row in between.
    update public.outbox set state = 'PENDING' where id = p_dead.id;
    update public.outbox set state = 'DONE', result = jsonb_build_object('outcome', 'replaced', 'run_id', next_run_id)
    where id = p_dead.id;
    return next_run_id;
end
$$;
revoke all on function private.replace_dead_dispatch(public.outbox, public.runs) from public, anon, authenticated, service_role;

-- Has a row worked off now: {outcome: due, leased or replaced, row, run_id of the run that takes its place}.
-- A row that was tried before keeps one attempt on its count, for that is what makes its worker look whether the
-- effect is there already; counted from nothing, a mail that went out would go out again.
create function public.requeue_outbox_v1(p_id uuid) returns jsonb
language plpgsql set search_path = '' as $$
declare
    work public.outbox := private.lock_outbox(p_id);
    run public.runs;
    outcome text := 'due';
    next_run_id uuid := (work.result ->> 'run_id')::uuid;
begin
    if work.state = 'DONE' and work.result ->> 'outcome' is distinct from 'replaced' then
        perform private.refuse(409, 'outbox-row-done', 'This row was carried out.', 'There is nothing to repeat.');
    end if;
    if work.kind = 'dispatch' then
        select * into run from public.runs where id = (work.payload ->> 'run_id')::uuid for update;
    end if;
    if work.state = 'DONE' then
        outcome := 'replaced';
    elsif work.lease_expires_at > now() then
        outcome := 'leased';
    elsif work.state = 'DEAD' and run.result is not null then
        outcome := 'replaced';
        next_run_id := private.replace_dead_dispatch(work, run);
    else
        update public.outbox
        set state = 'PENDING', attempts = least(attempts, 1), next_attempt_at = now(), lease_id = null,
            lease_expires_at = null
        where id = p_id;
    end if;
    if outcome <> 'leased' and work.state <> 'DONE' then
        perform private.audit('requeue_outbox', 'outbox', p_id::text, run.project_id,
            jsonb_build_object('kind', work.kind, 'state', work.state, 'attempts', work.attempts,
                'error', work.last_error, 'outcome', outcome, 'run_id', next_run_id));
    end if;
    return jsonb_build_object('outcome', outcome, 'run_id', next_run_id,
        'row', (select private.describe_outbox(outbox) from public.outbox where id = p_id));
end
$$;
revoke all on function public.requeue_outbox_v1(uuid) from public, anon, authenticated, service_role;

-- Takes a dead row away; what it was stays in the audit log. The answer is the row as it was.
create function public.drop_outbox_v1(p_id uuid, p_reason text) returns jsonb
language plpgsql set search_path = '' as $$
declare
    work public.outbox := private.lock_outbox(p_id);
    described jsonb := private.describe_outbox(work);
begin
    if coalesce(btrim(p_reason), '') = '' or length(p_reason) > 1000 then
        perform private.refuse(400, 'reason-missing', 'Whoever drops work says why, in at most 1000 characters.',
            'Give a reason: it goes into the audit log.');
    end if;
    if work.state <> 'DEAD' then
        perform private.refuse(409, 'outbox-row-not-dead', format('This row is %s.', work.state),
            'Only a dead row can be dropped; a pending one is still being tried.');
    end if;
    delete from public.outbox where id = p_id;
    perform private.audit('drop_outbox', 'outbox', p_id::text,
        (select project_id from public.specs where id = (described ->> 'spec_id')::uuid),
        described || jsonb_build_object('payload', work.payload, 'reason', p_reason));
    return described;
end
$$;
revoke all on function public.drop_outbox_v1(uuid, text) from public, anon, authenticated, service_role;
