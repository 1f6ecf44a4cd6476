-- How often a caller of the API asks.

create table private.request_times (
    -- key:ID, user:ID or webhook:NAME.
    caller text primary key check (length(caller) between 1 and 200),
    -- When the requests of the last minute came, oldest first; never more than the limit.
    times timestamptz[] not null
-- A row is rewritten with each request; the room beside it keeps that on its page.
) with (fillfactor = 50);
alter table private.request_times enable row level security;
revoke all on table private.request_times from public, anon, authenticated, service_role;
