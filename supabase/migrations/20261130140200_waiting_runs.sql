-- Runs that wait for a place or for money begin when another one ends, and not with the next look at the clock.

-- Work orders that were put off for what the ended run held: a place in its project or on its runners' label, money of its
-- project or its requester. Twenty at most, oldest first: they are due again, in that order. SKIP LOCKED: the run's lock is
-- held, and an outbox row may be waited for only before it (lock_spec); whoever holds the row has it in hand.
create function private.hasten_waiting() returns trigger
language plpgsql set search_path = '' as $$
begin
    update public.outbox set next_attempt_at = least(outbox.created_at, now())
    from (
        select waiting.id
        from public.outbox as waiting
        join public.runs on runs.id = (waiting.payload ->> 'run_id')::uuid
        join public.specs on specs.id = runs.spec_id
        join public.projects on projects.id = runs.project_id
        where waiting.kind = 'dispatch' and waiting.state = 'PENDING' and waiting.next_attempt_at > now()
            and (waiting.lease_expires_at is null or waiting.lease_expires_at < now())
            and case split_part(waiting.last_error, ':', 1)
                when 'too-many-runs' then runs.project_id = new.project_id
                when 'label-busy' then projects.policy ->> 'runner_label' = (
                    select policy ->> 'runner_label' from public.projects where id = new.project_id)
                when 'budget-reserved' then runs.project_id = new.project_id or specs.created_by = (
                    select created_by from public.specs where id = new.spec_id)
            end
        order by waiting.created_at, waiting.id
        limit 20 for update of waiting skip locked) as freed
    where outbox.id = freed.id;
    return null;
end
$$;
create trigger hasten_waiting after update of result on public.runs
    for each row when (old.result is null and new.result is not null
        and (old.reserved_at is not null or old.started_at is not null))
    execute function private.hasten_waiting();

-- Whether the place that a run was refused has come free since: a run that ended meanwhile found the work order leased.
create function private.place_came_free(p_run_id uuid, p_reason text) returns boolean
language sql stable set search_path = '' as $$
    select split_part(p_reason, ':', 1) in ('too-many-runs', 'label-busy') and exists (
        select from public.runs join public.projects on projects.id = runs.project_id
        where runs.id = p_run_id and private.no_room_for(runs, projects.policy) is null)
$$;

revoke all on function private.hasten_waiting(), private.place_came_free(uuid, text)
    from public, anon, authenticated, service_role;

-- Work that waited and is due before its time is announced.
create trigger announce_hastened after update of next_attempt_at on public.outbox
    for each row when (old.state = 'PENDING' and new.state = 'PENDING' and new.next_attempt_at < old.next_attempt_at)
    execute function private.announce_outbox();

-- The time has not come: the row is due again in p_seconds, a day at most, and this attempt does not count, for nothing
-- was attempted → {postponed, next_attempt_at}. A lost lease changes nothing.
create or replace function public.postpone_outbox_v1(p_id uuid, p_lease_id uuid, p_seconds double precision, p_reason text)
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
