-- Requests that a caller may repeat: one key, one effect, one answer, for 24 hours.

create table private.idempotent_requests (
    -- Whose key it is: an API key's id, or a user's. Two callers may use the same word.
    caller text not null check (length(caller) between 1 and 200),
    key text not null check (length(key) between 1 and 255),
    -- SHA-256 of method, path and body, in hex: the same key for something else is a mistake.
    request_hash text not null check (request_hash ~ '^[0-9a-f]{64}$'),
    -- null while the first request is being served.
    status integer check (status between 200 and 499),
    response jsonb,
    lease_expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    primary key (caller, key)
);
-- Serves the removal of what is older than a day.
create index idx_idempotent_requests_created_at on private.idempotent_requests (created_at);
alter table private.idempotent_requests enable row level security;
revoke all on table private.idempotent_requests from public, anon, authenticated, service_role;
