-- What was spent, call by call. It outlives what it was spent on: a month's budget is counted for a month, whatever
-- retention has removed meanwhile.

create table public.ledger (
    -- Made up by the one who spends, so that a repeated call is one entry.
    id uuid primary key,
    run_id uuid references public.runs (id) on delete set null,
    sprint_id uuid references public.sprints (id) on delete set null,
    spec_id uuid references public.specs (id) on delete set null,
    project_id uuid not null references public.projects (id) on delete restrict,
    -- Who sent the specification.
    requester text not null check (length(requester) <= 1000),
    -- In UTC, as all periods of a budget.
    day date not null default (now() at time zone 'utc')::date,
    -- planner, builder, and whoever else spends.
    kind text not null check (length(kind) between 1 and 100),
    model text not null default '' check (length(model) <= 200),
    input_tokens bigint not null default 0 check (input_tokens >= 0),
    output_tokens bigint not null default 0 check (output_tokens >= 0),
    cache_read_tokens bigint not null default 0 check (cache_read_tokens >= 0),
    cache_write_tokens bigint not null default 0 check (cache_write_tokens >= 0),
    -- NaN is more than every number: one such cost, and no limit that counts it would hold any more.
    cost_usd numeric(14, 6) not null default 0 check (cost_usd >= 0 and cost_usd < 'NaN'),
    created_at timestamptz not null default now()
);
-- Policy column first; then what was spent in a time.
create index idx_ledger_project_id on public.ledger (project_id, day, cost_usd);
-- Serve the limits of a run, a sprint and a specification; foreign keys.
create index idx_ledger_run_id on public.ledger (run_id);
create index idx_ledger_sprint_id on public.ledger (sprint_id);
create index idx_ledger_spec_id on public.ledger (spec_id);
alter table public.ledger enable row level security;
revoke all on table public.ledger from public, anon, authenticated, service_role;

-- The ledger summed up by day, so that a limit of a project or a requester costs the same whatever was spent before.
create table private.daily_spending (
    project_id uuid not null references public.projects (id) on delete restrict,
    day date not null,
    requester text not null,
    cost_usd numeric(20, 6) not null,
    primary key (project_id, day, requester)
);
-- Serves the limits of a requester.
create index idx_daily_spending_requester on private.daily_spending (requester, day);
alter table private.daily_spending enable row level security;
revoke all on table private.daily_spending from public, anon, authenticated, service_role;
