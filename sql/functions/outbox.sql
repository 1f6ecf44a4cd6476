-- The outbox's worker verbs. SECURITY DEFINER: as in mailboxes.sql.

-- Leases what is due, or whose lease ran out because its worker died. Two workers never get the same row.
create function public.claim_outbox_v1(p_kinds text[], p_limit integer, p_lease_seconds integer) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    claimed jsonb;
    worn record;
begin
    perform private.require_role('aicd_functions');
    -- Rows that took their last lease and never came back: their worker died each time.
    for worn in
        select id from public.outbox
        where state = 'PENDING' and kind = any (p_kinds) and attempts >= 8 and lease_expires_at < now()
        limit 20 for update skip locked
    loop
        perform private.bury(worn.id, 'The worker died or hung on this row, eight times.');
    end loop;
    with due as (
        select id from public.outbox
        where state = 'PENDING' and kind = any (p_kinds) and next_attempt_at <= now() and attempts < 8
            and (lease_expires_at is null or lease_expires_at < now())
        order by next_attempt_at
        limit least(greatest(p_limit, 0), 100)
        for update skip locked
    ), leased as (
        update public.outbox
        set attempts = attempts + 1, lease_id = gen_random_uuid(),
            lease_expires_at = now() + make_interval(secs => least(greatest(p_lease_seconds, 1), 3600))
        from due where outbox.id = due.id
        returning outbox.*
    )
    select coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'payload', payload, 'attempts', attempts,
        'idempotency_key', idempotency_key, 'correlation_id', correlation_id, 'lease_id', lease_id)
        order by next_attempt_at, created_at), '[]')
    into claimed from leased;
    return claimed;
end
$$;
revoke all on function public.claim_outbox_v1(text[], integer, integer) from public, anon, authenticated, service_role;
grant execute on function public.claim_outbox_v1(text[], integer, integer) to aicd_functions;

-- Gives a pending row up. A run that can never be dispatched ends here, so that its requester hears of it.
create function private.bury(p_id uuid, p_error text) returns void
language plpgsql set search_path = '' as $$
declare
    dead public.outbox;
    run public.runs;
begin
    update public.outbox
    set state = 'DEAD', last_error = left(p_error, 4000), lease_id = null, lease_expires_at = null
    where id = p_id returning * into dead;
    perform private.audit('bury_outbox', 'outbox', dead.id::text, null,
        jsonb_build_object('kind', dead.kind, 'error', dead.last_error));
    if dead.kind = 'dispatch' then
        select * into run from public.runs where id = (dead.payload ->> 'run_id')::uuid for update;
        if run.id is not null and run.result is null and run.started_at is null then
            perform private.fail_run(run, 'dispatch-failed', 'The CI run could not be started: ' || dead.last_error);
        end if;
    end if;
end
$$;

-- False when the lease was lost: somebody else has the row by now. The same lease twice is true twice.
create function public.finish_outbox_v1(p_id uuid, p_lease_id uuid, p_result jsonb default null) returns boolean
language plpgsql security definer set search_path = '' as $$
declare
    taken public.outbox;
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_result, 'The result', 65536);
    select * into taken from public.outbox where id = p_id for update;
    if taken.lease_id is distinct from p_lease_id or p_lease_id is null or taken.state = 'DEAD' then
        return false;
    end if;
    -- lease_id stays: it is what makes the second call of the same worker true.
    update public.outbox set state = 'DONE', result = p_result, last_error = null, lease_expires_at = null
    where id = p_id and state = 'PENDING';
    return true;
end
$$;
revoke all on function public.finish_outbox_v1(uuid, uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.finish_outbox_v1(uuid, uuid, jsonb) to aicd_functions;

-- The time has not come: the row is due again in p_seconds, a day at most, and this attempt does not count, for nothing
-- was attempted → {postponed, next_attempt_at}. A lost lease changes nothing.
create function public.postpone_outbox_v1(p_id uuid, p_lease_id uuid, p_seconds double precision, p_reason text)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    taken public.outbox;
    is_mine boolean;
begin
    perform private.require_role('aicd_functions');
    select * into taken from public.outbox where id = p_id for update;
    if taken.id is null then
        perform private.refuse(404, 'outbox-row-not-found', 'There is no such outbox row.', 'Claim rows before you postpone.');
    end if;
    is_mine := taken.state = 'PENDING' and taken.lease_id is not distinct from p_lease_id and p_lease_id is not null;
    if is_mine then
        update public.outbox
        set next_attempt_at = now() + case
                when private.place_came_free((payload ->> 'run_id')::uuid, p_reason) then interval '0'
                else make_interval(secs => least(greatest(p_seconds, 1), 86400)) end,
            attempts = greatest(attempts - 1, 0), last_error = left(p_reason, 4000), lease_id = null, lease_expires_at = null
        where id = p_id returning * into taken;
    end if;
    return jsonb_build_object('postponed', is_mine, 'next_attempt_at', taken.next_attempt_at);
end
$$;
revoke all on function public.postpone_outbox_v1(uuid, uuid, double precision, text)
    from public, anon, authenticated, service_role;
grant execute on function public.postpone_outbox_v1(uuid, uuid, double precision, text) to aicd_functions;

-- Waits 5 s, 10 s, 20 s … at most an hour, each time 50 to 150 % of it, and never less than the service asked for.
-- Dead after eight attempts. A lost lease changes nothing and answers how the row stands.
create function public.retry_outbox_v1(p_id uuid, p_lease_id uuid, p_error text,
    p_retry_after_seconds double precision default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    taken public.outbox;
    wait_seconds double precision;
begin
    perform private.require_role('aicd_functions');
    select * into taken from public.outbox where id = p_id for update;
    if taken.id is null then
        perform private.refuse(404, 'outbox-row-not-found', 'There is no such outbox row.', 'Claim rows before you retry.');
    end if;
    if taken.state = 'PENDING' and taken.lease_id = p_lease_id then
        if taken.attempts >= 8 then
            perform private.bury(p_id, p_error);
        else
            wait_seconds := greatest(least(5 * power(2, taken.attempts - 1), 3600) * (0.5 + random()),
                least(coalesce(p_retry_after_seconds, 0), 86400));
            update public.outbox
            set next_attempt_at = now() + make_interval(secs => wait_seconds), last_error = left(p_error, 4000),
                lease_id = null, lease_expires_at = null
            where id = p_id;
        end if;
    end if;
    return (select jsonb_build_object('dead', state = 'DEAD', 'next_attempt_at', next_attempt_at)
            from public.outbox where id = p_id);
end
$$;
revoke all on function public.retry_outbox_v1(uuid, uuid, text, double precision)
    from public, anon, authenticated, service_role;
grant execute on function public.retry_outbox_v1(uuid, uuid, text, double precision) to aicd_functions;

-- Trying again would change nothing: the row is DEAD at once, for an operator to look at → {dead}. A lost lease changes
-- nothing and answers how the row stands.
create function public.bury_outbox_v1(p_id uuid, p_lease_id uuid, p_error text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    taken public.outbox;
begin
    perform private.require_role('aicd_functions');
    select * into taken from public.outbox where id = p_id for update;
    if taken.id is null then
        perform private.refuse(404, 'outbox-row-not-found', 'There is no such outbox row.', 'Claim rows before you bury.');
    end if;
    if taken.state = 'PENDING' and taken.lease_id = p_lease_id then
        perform private.bury(p_id, p_error);
    end if;
    return (select jsonb_build_object('dead', state = 'DEAD') from public.outbox where id = p_id);
end
$$;
revoke all on function public.bury_outbox_v1(uuid, uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.bury_outbox_v1(uuid, uuid, text) to aicd_functions;
