-- With more than twenty worn rows at once, those that were not buried yet were leased a ninth time.

create or replace function public.claim_outbox_v1(p_kinds text[], p_limit integer, p_lease_seconds integer) returns jsonb
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
