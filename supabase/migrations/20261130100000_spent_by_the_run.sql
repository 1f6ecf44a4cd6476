-- {left_usd, limits, spent_usd, run_open, spec_cancelled}: asked before each iteration; a run that is not open any more
-- has to stop, whatever is left. left_usd is null where no limit holds; spent_usd is this run's, whichever of its CI run's
-- attempts spent it. Scope build.
create or replace function public.read_budget_v1(p_run_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_runner(p_run_id, 'build');
begin
    update public.runs set last_seen_at = now() where id = run.id and result is null and started_at is not null;
    return private.describe_budget(run) || jsonb_build_object('run_open', run.result is null,
        'spent_usd', (select coalesce(sum(cost_usd), 0) from public.ledger where run_id = run.id),
        'spec_cancelled', exists (select from public.sprints where id = run.sprint_id and state = 'CANCELLED'));
end
$$;
