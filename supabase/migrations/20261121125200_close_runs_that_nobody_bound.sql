-- A run whose CI run was started without being named, and never reported, stayed open for ever.

create or replace function public.close_dead_runs_v1(p_older_than_seconds integer) returns integer
language plpgsql security definer set search_path = '' as $$
declare
    silent public.runs;
    closed integer := 0;
begin
    perform private.require_role('aicd_functions');
    for silent in
        select runs.* from public.runs join public.sprints on sprints.id = runs.sprint_id
        where runs.result is null and sprints.state <> 'PAUSED'
            and greatest(runs.bound_at, runs.started_at, runs.last_seen_at,
                (select done_at from public.outbox where idempotency_key = 'dispatch:' || runs.id))
                < now() - make_interval(secs => greatest(p_older_than_seconds, 1))
        limit 100 for update of runs skip locked
    loop
        perform private.fail_run(silent, 'run-died', 'The CI run stopped reporting and never finished.');
        closed := closed + 1;
    end loop;
    return closed;
end
$$;
