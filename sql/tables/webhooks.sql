-- Other systems that call us, and what they have said already.

-- A system that sends specifications signed with a secret of its own (standardwebhooks.com). The secret has to be kept as
-- it is, for HMAC needs it; it never leaves the database.
create table private.webhook_sources (
    name text primary key check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    -- What it may have built.
    project_id uuid not null references public.projects (id) on delete cascade,
    -- 32 bytes of chance.
    secret bytea not null check (length(secret) >= 24),
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
-- Foreign key.
create index idx_webhook_sources_project_id on private.webhook_sources (project_id);
alter table private.webhook_sources enable row level security;
revoke all on table private.webhook_sources from public, anon, authenticated, service_role;

-- Deliveries that were taken in. A captured one carries a valid signature for ever: its id is what stops it.
create table private.webhook_deliveries (
    source text not null check (length(source) between 1 and 100),
    delivery_id text not null check (length(delivery_id) between 1 and 200),
    received_at timestamptz not null default now(),
    primary key (source, delivery_id)
);
-- Serves the removal of what is older than a quarter of a year.
create index idx_webhook_deliveries_received_at on private.webhook_deliveries (received_at);
alter table private.webhook_deliveries enable row level security;
revoke all on table private.webhook_deliveries from public, anon, authenticated, service_role;

-- Serves record_github_event_v1: the run behind a pull request.
create index idx_runs_pull_request on public.runs (project_id, ((pull_request ->> 'number'))) where pull_request is not null;
-- And the run behind a deployed commit.
create index idx_runs_commit_sha on public.runs (project_id, commit_sha) where commit_sha is not null;
