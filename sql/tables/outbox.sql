-- Work for the other half, written in the same transaction as the change that calls for it.
-- Promise: recorded exactly once, carried out at least once, each effect under its idempotency key.

create table public.outbox (
    id uuid primary key default gen_random_uuid(),
    -- dispatch: start a CI run. notify: write a mail. cancel: stop a CI run whose specification was cancelled.
    kind text not null check (kind in ('dispatch', 'notify', 'cancel')),
    payload jsonb not null check (jsonb_typeof(payload) = 'object'),
    -- What the receiver may honour, and what makes a second insert of the same work a no-op.
    idempotency_key text not null unique check (length(idempotency_key) between 1 and 500),
    correlation_id text not null default '' check (length(correlation_id) <= 200),
    -- PENDING: due, waiting or leased. DONE: carried out. DEAD: given up; an operator looks at it.
    state text not null default 'PENDING' check (state in ('PENDING', 'DONE', 'DEAD')),
    -- Counted when a worker claims the row, so that a row which kills its worker dies too.
    attempts integer not null default 0 check (attempts >= 0),
    next_attempt_at timestamptz not null default now(),
    lease_id uuid,
    lease_expires_at timestamptz,
    result jsonb,
    last_error text,
    created_at timestamptz not null default now(),
    done_at timestamptz,
    dead_at timestamptz
);
-- Serves claim_outbox_v1: what is due, by kind.
create index idx_outbox_due on public.outbox (kind, next_attempt_at) where state = 'PENDING';
-- Serves the operator's list of dead letters.
create index idx_outbox_dead on public.outbox (dead_at) where state = 'DEAD';
-- Serves cancel_spec_v1 and expire_rows_v1: the work for one specification.
create index idx_outbox_spec_id on public.outbox ((payload ->> 'spec_id'));
