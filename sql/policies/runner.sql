-- What a run's token reads: the rows of its run, or of its project where it was minted for a whole project.
-- Every policy asks whether the token still counts, so that a revoked one is dead at once.

-- The specification that the run builds.
create policy "a runner reads its specification" on public.specs for select to aicd_runner
    using ((select private.token_is_live()) and project_id = (select private.claimed_project_id())
        and id = coalesce((select private.claimed_spec_id()), id));

-- All sprints of that specification: what was built before says where to go on.
create policy "a runner reads the sprints of its specification" on public.sprints for select to aicd_runner
    using ((select private.token_is_live()) and project_id = (select private.claimed_project_id())
        and spec_id = coalesce((select private.claimed_spec_id()), spec_id));

create policy "a runner reads its run" on public.runs for select to aicd_runner
    using ((select private.token_is_live()) and project_id = (select private.claimed_project_id())
        and spec_id = coalesce((select private.claimed_spec_id()), spec_id)
        and id = coalesce((select private.claimed_run_id()), id));

create policy "a runner reads the artifacts of its run" on public.artifacts for select to aicd_runner
    using ((select private.token_is_live()) and project_id = (select private.claimed_project_id())
        and run_id = coalesce((select private.claimed_run_id()), run_id));

-- Events before any run carry no run: a run's token reads those of its own run.
create policy "a runner reads the events of its run" on public.status_events for select to aicd_runner
    using ((select private.token_is_live()) and project_id = (select private.claimed_project_id())
        and spec_id = coalesce((select private.claimed_spec_id()), spec_id)
        and ((select private.claimed_run_id()) is null or run_id = (select private.claimed_run_id())));

create policy "a runner reads the executions of its run" on public.agent_executions for select to aicd_runner
    using ((select private.token_is_live()) and project_id = (select private.claimed_project_id())
        and run_id = coalesce((select private.claimed_run_id()), run_id));
