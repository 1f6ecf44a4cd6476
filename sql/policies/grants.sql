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
