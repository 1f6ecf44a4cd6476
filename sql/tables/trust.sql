-- Tokens that no longer count, who did what, and the settings that only the owner reads.

create table public.revoked_tokens (
    jti text primary key check (length(jti) between 1 and 200),
    reason text not null default '' check (length(reason) <= 1000),
    revoked_at timestamptz not null default now()
);

-- Append-only: triggers refuse every UPDATE and TRUNCATE, the owner's too, and every DELETE that comes before the time
-- that the log's retention policy sets.
create table public.audit_log (
    id uuid primary key default gen_random_uuid(),
    -- A token's role and jti, a member's id, or the database role of the operator.
    actor text not null,
    action text not null check (length(action) between 1 and 100),
    subject_table text not null,
    subject_id text not null,
    project_id uuid,
    details jsonb not null default '{}',
    created_at timestamptz not null default now()
);
-- Policy column first; then the log of a project, newest first.
create index idx_audit_log_project_id on public.audit_log (project_id, created_at desc, id);

-- webhook_secret, and webhook_url.KIND for each outbox kind that the cloud is to be told of.
create table private.settings (
    name text primary key,
    value text not null
);
