-- Who may call and read what. Revoke first, then grant one by one. Nobody but the owner holds INSERT, UPDATE or
-- DELETE on a table of ours: the verbs are the only door. service_role gets nothing: no code of ours uses it.

revoke all on all tables in schema private from public, anon, authenticated, service_role;
revoke all on all functions in schema private from public, anon, authenticated, service_role;
revoke all on table public.organisations, public.organisation_members, public.projects, public.project_members,
    public.mailboxes, public.senders, public.messages, public.specs, public.sprints, public.runs, public.artifacts,
    public.status_events, public.agent_executions, public.outbox, public.revoked_tokens, public.audit_log
    from public, anon, authenticated, service_role;

-- What the policies call is executed as the one who reads.
grant execute on function private.token_is_live(), private.uuid_of_path(text)
    to authenticated, aicd_functions, aicd_runner;
grant execute on function private.claims(), private.claimed_uuid(text), private.claimed_project_id(),
    private.claimed_run_id(), private.claimed_spec_id(), private.scope_allows(text),
    private.refuse(integer, text, text, text) to aicd_runner;
grant execute on function private.my_organisation_ids(), private.my_project_ids() to authenticated;

-- A run's token reads what belongs to its run.
grant select on table public.specs, public.sprints, public.runs, public.artifacts, public.status_events,
    public.agent_executions to aicd_runner;
-- A member reads what belongs to his projects.
grant select on table public.organisations, public.organisation_members, public.projects, public.project_members,
    public.specs, public.sprints, public.runs, public.artifacts, public.status_events, public.agent_executions,
    public.audit_log to authenticated;

alter table public.organisations enable row level security;
alter table public.organisation_members enable row level security;
alter table public.projects enable row level security;
alter table public.project_members enable row level security;
alter table public.mailboxes enable row level security;
alter table public.senders enable row level security;
alter table public.messages enable row level security;
alter table public.specs enable row level security;
alter table public.sprints enable row level security;
alter table public.runs enable row level security;
alter table public.artifacts enable row level security;
alter table public.status_events enable row level security;
alter table public.agent_executions enable row level security;
alter table public.outbox enable row level security;
alter table public.revoked_tokens enable row level security;
alter table public.audit_log enable row level security;
alter table private.settings enable row level security;

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
