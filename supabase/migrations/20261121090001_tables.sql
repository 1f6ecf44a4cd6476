-- Organisations and projects: who belongs to what. Read by members, written by the operator's verbs.

create table public.organisations (
    id uuid primary key default gen_random_uuid(),
    name text not null unique check (length(name) between 1 and 100),
    created_at timestamptz not null default now()
);

create table public.organisation_members (
    organisation_id uuid not null references public.organisations (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    -- owner and admin see every project of the organisation; member sees those he was added to.
    role text not null check (role in ('owner', 'admin', 'member')),
    created_at timestamptz not null default now(),
    primary key (organisation_id, user_id)
);
-- Serves private.my_organisation_ids and private.my_project_ids: the user comes first.
create index idx_organisation_members_user_id on public.organisation_members (user_id, organisation_id);

-- A repository and its policy. `policy` is the project's own: branches (patterns), daily_specs, approval,
-- dependencies …; what the database does not use is handed to the runner as it is.
create table public.projects (
    id uuid primary key default gen_random_uuid(),
    organisation_id uuid not null references public.organisations (id) on delete restrict,
    name text not null check (length(name) between 1 and 200),
    repo text not null check (repo ~ '^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$'),
    default_branch text not null default 'main' check (length(default_branch) between 1 and 255),
    workflow text not null default 'aicd.yml' check (length(workflow) between 1 and 255),
    policy jsonb not null default '{}' check (jsonb_typeof(policy) = 'object'),
    created_at timestamptz not null default now()
);
-- GitHub does not tell names apart by case; one repository is one project.
create unique index idx_projects_repo on public.projects (lower(repo));
-- Serves private.my_project_ids for owners and admins.
create index idx_projects_organisation_id on public.projects (organisation_id);

create table public.project_members (
    project_id uuid not null references public.projects (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    -- The three read the same rows; they differ in what later verbs let them do.
    role text not null check (role in ('maintainer', 'developer', 'viewer')),
    created_at timestamptz not null default now(),
    primary key (project_id, user_id)
);
-- Serves private.my_project_ids: the user comes first.
create index idx_project_members_user_id on public.project_members (user_id, project_id);

-- Mail: the mailboxes we watch, who may write to us, and what became of each mail.

create table public.mailboxes (
    id uuid primary key default gen_random_uuid(),
    email text not null unique check (email = lower(email) and email ~ '^[^@\s]+@[^@\s]+$'),
    -- Gmail's history id is an unsigned 64-bit number: too large for bigint. It never moves back.
    history_id numeric(20, 0) check (history_id >= 0),
    watch_expires_at timestamptz,
    last_push_at timestamptz,
    last_error text,
    last_error_fix text,
    last_error_at timestamptz,
    created_at timestamptz not null default now()
);

-- The allow-list: a row lets one address, or everybody of a domain (*@example.com), target one project.
create table public.senders (
    id uuid primary key default gen_random_uuid(),
    pattern text not null check (pattern = lower(pattern) and pattern ~ '^[^@\s]+@[^@\s*]+$'),
    -- null: every project.
    project_id uuid references public.projects (id) on delete cascade,
    daily_limit integer not null default 100 check (daily_limit >= 0),
    created_at timestamptz not null default now(),
    unique nulls not distinct (pattern, project_id)
);
-- Foreign key: dropping a project looks its senders up.
create index idx_senders_project_id on public.senders (project_id);

create table public.messages (
    id uuid primary key default gen_random_uuid(),
    mailbox_id uuid not null references public.mailboxes (id) on delete restrict,
    gmail_id text not null check (length(gmail_id) between 1 and 200),
    gmail_thread_id text not null default '' check (length(gmail_thread_id) <= 200),
    rfc_message_id text not null default '' check (length(rfc_message_id) <= 2000),
    mail_references text not null default '' check (length(mail_references) <= 20000),
    sender text not null default '' check (length(sender) <= 1000),
    subject text not null default '' check (length(subject) <= 2000),
    -- ACCEPTED: at least one specification was stored to be built. INVALID: a known sender wrote something that we
    -- cannot build; he gets an answer. REFUSED: forged, unknown or looping; never answered. IGNORED: not for us.
    state text not null check (state in ('ACCEPTED', 'INVALID', 'REFUSED', 'IGNORED')),
    reason text not null default '' check (length(reason) <= 200),
    problems jsonb not null default '[]' check (jsonb_typeof(problems) = 'array'),
    answered boolean not null default false,
    size bigint check (size >= 0),
    sha256 text check (sha256 ~ '^[0-9a-f]{64}$'),
    correlation_id text not null default '' check (length(correlation_id) <= 200),
    created_at timestamptz not null default now(),
    -- A redelivered push finds the mail already here.
    unique (mailbox_id, gmail_id)
);
-- One mail is built once, also when it arrives under several Gmail ids. Only an accepted one claims the triple.
create unique index idx_messages_accepted on public.messages (mailbox_id, sender, rfc_message_id)
    where state = 'ACCEPTED' and rfc_message_id <> '';
-- Serves the limit of answers to one sender in a day.
create index idx_messages_sender on public.messages (sender, created_at);

-- Specifications and their sprints. project_id is copied from the parent by a trigger, so that a policy needs no join.

create table public.specs (
    id uuid primary key default gen_random_uuid(),
    project_id uuid not null references public.projects (id) on delete restrict,
    message_id uuid references public.messages (id) on delete restrict,
    repo text not null check (length(repo) <= 200),
    branch text check (length(branch) between 1 and 255),
    -- Ours, never a sender's: the key in the bucket `specs`.
    storage_path text not null unique check (storage_path ~ '^[0-9a-f-]{36}/source$'),
    -- Of the bytes as received.
    sha text not null check (length(sha) between 7 and 64),
    size bigint check (size >= 0),
    name text not null default '' check (length(name) <= 1000),
    title text not null default '' check (length(title) <= 1000),
    format text not null default 'yaml' check (format in ('yaml', 'json', 'markdown', 'text')),
    correlation_id text not null default '' check (length(correlation_id) <= 200),
    created_by text not null check (length(created_by) <= 1000),
    created_at timestamptz not null default now()
);
-- Policy column first; then a member's list, newest first, paged by key.
create index idx_specs_project_id on public.specs (project_id, created_at desc, id);
-- Foreign key, and the answer to a redelivered mail.
create index idx_specs_message_id on public.specs (message_id);
-- Serves the daily limit of a sender.
create index idx_specs_created_by on public.specs (created_by, created_at);

create table public.sprints (
    id uuid primary key default gen_random_uuid(),
    spec_id uuid not null references public.specs (id) on delete restrict,
    project_id uuid not null references public.projects (id) on delete restrict,
    label text not null check (length(label) between 1 and 200),
    position integer not null default 1 check (position >= 1),
    dod_json jsonb not null default '{}' check (jsonb_typeof(dod_json) = 'object'),
    -- The sprint as planned; null until somebody plans it.
    plan_json jsonb,
    -- PLANNED: waits for its turn. NEEDS_INPUT: waits for the requester's answer. NEEDS_APPROVAL: waits for a
    -- maintainer. RUNNING: a run was let in. PAUSED: a usage limit was met. DONE, FAILED, CANCELLED: as they say.
    state text not null default 'PLANNED' check (state in ('PLANNED', 'NEEDS_INPUT', 'NEEDS_APPROVAL', 'RUNNING',
                                                           'PAUSED', 'DONE', 'FAILED', 'CANCELLED')),
    created_at timestamptz not null default now(),
    unique (spec_id, label),
    -- The order in which sprints are built.
    unique (spec_id, position)
);
-- Policy column first.
create index idx_sprints_project_id on public.sprints (project_id, created_at desc, id);

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
    -- The key in the bucket `artifacts` is ours.
    constraint artifacts_path_is_ours check (storage_path = run_id::text || '/' || id::text)
);
-- A run's artifacts; asked for by name in the design.
create index idx_artifacts_run_id on public.artifacts (run_id);
-- Policy column first.
create index idx_artifacts_project_id on public.artifacts (project_id, created_at desc, id);

create table public.status_events (
    id uuid primary key default gen_random_uuid(),
    -- null before any run: SPEC_RECEIVED and PLANNING.
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

-- Work for the other half, written in the same transaction as the change that calls for it.
-- Promise: recorded exactly once, carried out at least once, each effect under its idempotency key.

create table public.outbox (
    id uuid primary key default gen_random_uuid(),
    -- dispatch: start a CI run. notify: write a mail.
    kind text not null check (kind in ('dispatch', 'notify')),
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

-- Tokens that no longer count, who did what, and the settings that only the owner reads.

create table public.revoked_tokens (
    jti text primary key check (length(jti) between 1 and 200),
    reason text not null default '' check (length(reason) <= 1000),
    revoked_at timestamptz not null default now()
);

-- Append-only: a trigger refuses every UPDATE, DELETE and TRUNCATE, the owner's too.
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
