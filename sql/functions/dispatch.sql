-- Dispatch: from a run's row to a CI run, and the end of runs that nobody finishes.
-- SECURITY DEFINER: as in mailboxes.sql.

create function private.lock_run(p_run_id uuid) returns public.runs
language plpgsql set search_path = '' as $$
declare
    found_run public.runs;
begin
    select * into found_run from public.runs where id = p_run_id for update;
    if found_run.id is null then
        perform private.refuse(404, 'run-not-found', 'There is no such run.', 'Check the run id.');
    end if;
    return found_run;
end
$$;

create function public.describe_run_v1(p_run_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
    described jsonb;
begin
    perform private.require_role('aicd_functions');
    select jsonb_build_object('run_id', runs.id, 'sprint_id', runs.sprint_id, 'spec_id', runs.spec_id,
        'correlation_id', runs.correlation_id, 'ci_run_id', runs.ci_run_id, 'ci_url', runs.ci_url,
        'started_at', runs.started_at, 'result', runs.result, 'sprint_label', sprints.label,
        'project', jsonb_build_object('id', projects.id, 'repo', projects.repo,
            'default_branch', projects.default_branch, 'workflow', projects.workflow))
    into described
    from public.runs
    join public.sprints on sprints.id = runs.sprint_id
    join public.projects on projects.id = runs.project_id
    where runs.id = p_run_id;
    if described is null then
        perform private.refuse(404, 'run-not-found', 'There is no such run.', 'Check the run id.');
    end if;
    return described;
end
$$;
revoke all on function public.describe_run_v1(uuid) from public, anon, authenticated, service_role;
grant execute on function public.describe_run_v1(uuid) to aicd_functions;

-- The first CI run that is bound stays; a later caller learns from the answer that his is one too many.
create function public.bind_run_v1(p_run_id uuid, p_ci_run_id text, p_url text default null) returns jsonb
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
revoke all on function public.bind_run_v1(uuid, text, text) from public, anon, authenticated, service_role;
grant execute on function public.bind_run_v1(uuid, text, text) to aicd_functions;

-- Ends a run that can never be. A run that has its result keeps it.
create function public.abandon_run_v1(p_run_id uuid, p_code text, p_reason text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs;
begin
    perform private.require_role('aicd_functions');
    run := private.lock_run(p_run_id);
    if run.result is null then
        perform private.fail_run(run, p_code, p_reason);
    end if;
    return jsonb_build_object('result', coalesce(run.result, 'FAILED'));
end
$$;
revoke all on function public.abandon_run_v1(uuid, text, text) from public, anon, authenticated, service_role;
grant execute on function public.abandon_run_v1(uuid, text, text) to aicd_functions;

-- Ends runs that were dispatched, bound or started and have been silent for too long; how many. A server that does not
-- tell which CI run it started leaves the run unbound, so the work order's end counts, too. A paused sprint's run is not
-- dead.
create function public.close_dead_runs_v1(p_older_than_seconds integer) returns integer
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
revoke all on function public.close_dead_runs_v1(integer) from public, anon, authenticated, service_role;
grant execute on function public.close_dead_runs_v1(integer) to aicd_functions;
