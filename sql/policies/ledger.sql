-- Who sees what was spent. Nobody writes it but record_cost_v1.

grant select on table public.ledger to aicd_runner, authenticated;

create policy "members read the ledger of their projects" on public.ledger for select to authenticated
    using (project_id = any (array(select private.my_project_ids())));

create policy "a runner reads the ledger of its run" on public.ledger for select to aicd_runner
    using ((select private.token_is_live()) and project_id = (select private.claimed_project_id())
        and run_id = coalesce((select private.claimed_run_id()), run_id));
