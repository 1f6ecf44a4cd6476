-- Runs and what they leave behind: artifacts, events, executions of an agent.

create table public.runs (
    id uuid primary key default gen_random_uuid(),
    sprint_id uuid not null references public.sprints (id) on delete restrict,
    spec_id uuid not null references public.specs (id) on delete restrict,
    project_id uuid not null references public.projects (id) on delete restrict,
    -- The how-manieth run of its sprint.
    attempt integer not null default 1 check (attempt >= 1),
    -- The CI run that holds this run: bound by dispatch, or by the first CI run that starts it.
    ci_run_id text check (length(ci_run_id) between 1 and 200),
    ci_attempt integer check (ci_attempt >= 1),
    ci_url text check (length(ci_url) <= 2000),
    correlation_id text not null default '' check (length(correlation_id) <= 200),
    created_at timestamptz not null default now(),
    bound_at timestamptz,
    started_at timestamptz,
    -- The runner's last word; close_dead_runs_v1 looks here.
    last_seen_at timestamptz,
    finished_at timestamptz,
    -- null while it lasts; PASSED: the Definition of Done is met; FAILED: it is not, or nobody could tell.
    result text check (result in ('PASSED', 'FAILED')),
    summary_json jsonb,
    branch text check (length(branch) <= 255),
    commit_sha text check (commit_sha ~ '^[0-9a-f]{7,64}$'),
    pull_request jsonb,
    -- When dispatch was let go, and what is set apart for the run until it ends; null where no limit holds.
    reserved_usd numeric(14, 6) check (reserved_usd >= 0),
    reserved_at timestamptz,
    unique (sprint_id, attempt),
    constraint runs_finished_with_result check ((result is null) = (finished_at is null)),
    constraint runs_passed_only_when_started check (result is distinct from 'PASSED' or started_at is not null)
);
-- A sprint's runs; asked for by name in the design.
create index idx_runs_sprint_id on public.runs (sprint_id);
-- A sprint is built by one run at a time.
create unique index idx_runs_open on public.runs (sprint_id) where result is null;
-- Policy column first.
create index idx_runs_project_id on public.runs (project_id, created_at desc, id);
-- A specification's page.
create index idx_runs_spec_id on public.runs (spec_id);

create table public.artifacts (
    id uuid primary key default gen_random_uuid(),
    run_id uuid not null references public.runs (id) on delete restrict,
    project_id uuid not null references public.projects (id) on delete restrict,
    kind text not null check (length(kind) between 1 and 100),
    -- Shown, never used as a path.
    name text not null default '' check (length(name) <= 1000),
    content_type text not null default 'application/octet-stream' check (length(content_type) <= 200),
    storage_path text not null unique,
    size bigint not null default 0 check (size >= 0),
    sha256 text check (sha256 ~ '^[0-9a-f]{64}$'),
    created_at timestamptz not null default now(),
    -- Where the object lies: null in the bucket `artifacts`, else s3://bucket/prefix of an S3-compatible store.
    store text check (length(store) <= 300 and store !~ '\.\.'
        and store ~ '^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.=-]+)*$'),
    -- How the object was packed before it was stored; size and sha256 are those of the content.
    encoding text check (encoding in ('gzip')),
    -- The key is ours in every store.
    constraint artifacts_path_is_ours check (storage_path = run_id::text || '/' || id::text)
);
-- A run's artifacts; asked for by name in the design.
create index idx_artifacts_run_id on public.artifacts (run_id);
-- Policy column first.
create index idx_artifacts_project_id on public.artifacts (project_id, created_at desc, id);

create table public.status_events (
    id uuid primary key default gen_random_uuid(),
    -- null for what belongs to no run: what came before any, and what people's own agents note.
    run_id uuid references public.runs (id) on delete restrict,
    spec_id uuid not null references public.specs (id) on delete restrict,
    project_id uuid not null references public.projects (id) on delete restrict,
    phase text not null check (phase in ('SPEC_RECEIVED', 'PLANNING', 'BUILD', 'TESTING', 'TESTS_PASSED',
                                         'TESTS_FAILED', 'PR_OPENED', 'MERGED', 'DEPLOYED', 'PAUSED', 'FAILED')),
    message text not null default '' check (length(message) <= 10000),
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    -- The clock's time, not the transaction's: several events of one transaction keep their order.
    created_at timestamptz not null default clock_timestamp()
);
-- A run's page; asked for by name in the design.
create index idx_status_events_run_id on public.status_events (run_id);
-- The tail of all events; asked for by name in the design.
create index idx_status_events_created_at on public.status_events (created_at);
-- Policy column first; then the event tail of a project, paged by key.
create index idx_status_events_project_id on public.status_events (project_id, created_at desc, id);
-- A specification's page, with what came before any run.
create index idx_status_events_spec_id on public.status_events (spec_id, created_at);

create table public.agent_executions (
    id uuid primary key default gen_random_uuid(),
    run_id uuid not null references public.runs (id) on delete restrict,
    project_id uuid not null references public.projects (id) on delete restrict,
    iteration integer not null default 1 check (iteration >= 1),
    agent text not null check (length(agent) between 1 and 200),
    model text check (length(model) <= 200),
    started_at timestamptz,
    finished_at timestamptz,
    result text check (length(result) <= 200),
    cost_usd numeric(14, 6) not null default 0 check (cost_usd >= 0),
    input_tokens bigint not null default 0 check (input_tokens >= 0),
    output_tokens bigint not null default 0 check (output_tokens >= 0),
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz not null default now()
);
-- A run's page.
create index idx_agent_executions_run_id on public.agent_executions (run_id);
-- Policy column first.
create index idx_agent_executions_project_id on public.agent_executions (project_id, created_at desc, id);
