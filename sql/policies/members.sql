-- What a member reads. Each function is called once for a statement, not once for a row: hence array(select …).
-- The functions answer nothing for a revoked token.

-- A member sees the organisations he belongs to.
create policy "members read their organisations" on public.organisations for select to authenticated
    using (id = any (array(select private.my_organisation_ids())));

-- A member sees who else belongs to his organisations.
create policy "members read the members of their organisations" on public.organisation_members for select to authenticated
    using (organisation_id = any (array(select private.my_organisation_ids())));

-- From here on: rows of the projects that a member belongs to, whatever his role there.
create policy "members read their projects" on public.projects for select to authenticated
    using (id = any (array(select private.my_project_ids())));

create policy "members read the members of their projects" on public.project_members for select to authenticated
    using (project_id = any (array(select private.my_project_ids())));

create policy "members read the specifications of their projects" on public.specs for select to authenticated
    using (project_id = any (array(select private.my_project_ids())));

create policy "members read the sprints of their projects" on public.sprints for select to authenticated
    using (project_id = any (array(select private.my_project_ids())));

create policy "members read the runs of their projects" on public.runs for select to authenticated
    using (project_id = any (array(select private.my_project_ids())));

create policy "members read the artifacts of their projects" on public.artifacts for select to authenticated
    using (project_id = any (array(select private.my_project_ids())));

create policy "members read the events of their projects" on public.status_events for select to authenticated
    using (project_id = any (array(select private.my_project_ids())));

create policy "members read the executions of their projects" on public.agent_executions for select to authenticated
    using (project_id = any (array(select private.my_project_ids())));

create policy "members read the audit log of their projects" on public.audit_log for select to authenticated
    using (project_id = any (array(select private.my_project_ids())));
