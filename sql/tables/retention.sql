-- How long things are kept, and the objects whose time has come.

-- No row, or keep_days null: kept for ever.
create table public.retention_policies (
    kind text not null,
    name text not null,
    keep_days integer,
    changed_at timestamptz not null default now(),
    primary key (kind, name),
    -- A bucket's policy takes the rows that name its objects along: `artifacts` an artifact's row, `specs` a whole
    -- specification with everything that was made of it.
    constraint retention_policies_known check ((kind || ':' || name) in ('table:status_events', 'table:agent_executions',
        'table:outbox', 'table:messages', 'table:audit_log', 'bucket:artifacts', 'bucket:specs', 'table:ledger')),
    -- Mail is known again by its row, and a redelivery comes within days; an account of who did what is of use later;
    -- links in mails live for seven days; a month's budget is counted from the ledger.
    constraint retention_policies_long_enough check (keep_days >= case name
        when 'audit_log' then 90 when 'ledger' then 62 when 'messages' then 30 when 'status_events' then 1 when 'agent_executions' then 1
        else 8 end)
);
alter table public.retention_policies enable row level security;
revoke all on table public.retention_policies from public, anon, authenticated, service_role;

-- Objects that are to go. The mark is written first, then the object is removed through the Storage API, and only then
-- the row that names it: whatever is interrupted is found here again.
create table private.expired_objects (
    bucket text not null check (bucket in ('specs', 'artifacts', 'sessions')),
    path text not null,
    -- retention: a row names it, and goes with it, or it is a session of a specification that goes. orphan: stored by somebody who never wrote the row.
    reason text not null check (reason in ('retention', 'orphan')),
    marked_at timestamptz not null default now(),
    -- Of an orphan: when it was found gone. The mark stays for a day, for whoever looked just before and is about to
    -- write the row (claim_object).
    removed_at timestamptz,
    primary key (bucket, path)
);
-- Serves expire_rows_v1: what is still to be removed, oldest first.
create index idx_expired_objects_marked_at on private.expired_objects (marked_at) where removed_at is null;
alter table private.expired_objects enable row level security;
revoke all on table private.expired_objects from public, anon, authenticated, service_role;
