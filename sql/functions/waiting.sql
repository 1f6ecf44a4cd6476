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
