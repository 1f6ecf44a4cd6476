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
    created_at timestamptz not null default now(),
    -- The specification's own wish; the project's and the sender's are looked up when it matters.
    needs_approval boolean not null default false,
    -- What the runner's planner handed over, with its estimate; null where the specification brought its plan.
    planning_json jsonb check (jsonb_typeof(planning_json) = 'object'),
    -- Of what it says, whatever the format and the ends of its lines: by it the same is known again at another door.
    content_key text check (content_key ~ '^[0-9a-f]{64}$')
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
    -- Labels of the sprints that must be DONE before this one is built. All of them stand before it.
    depends_on text[] not null default '{}',
    -- Of a PAUSED sprint: when wake_sprints_v1 has it go on.
    resume_at timestamptz,
    -- What a paused run left for the next one to go on from: the agent's session, branch, commit.
    session_json jsonb check (jsonb_typeof(session_json) = 'object'),
    -- What the requester answered: [{id, text, answered_by, answered_at}].
    answers_json jsonb not null default '[]' check (jsonb_typeof(answers_json) = 'array'),
    approved_at timestamptz,
    -- What the requester was asked: [{id, text, blocking, run_id, asked_at}]; from outside of a run with {round_id,
    -- asked_by, was: the state that the sprint goes back to} instead of run_id.
    questions_json jsonb not null default '[]' check (jsonb_typeof(questions_json) = 'array'),
    unique (spec_id, label),
    -- The order in which sprints are built.
    unique (spec_id, position)
);
-- Policy column first.
create index idx_sprints_project_id on public.sprints (project_id, created_at desc, id);
-- Serves search_specs_v1: the few sprints that wait or run.
create index idx_sprints_state on public.sprints (project_id, state);
-- Serves wake_sprints_v1.
create index idx_sprints_resume_at on public.sprints (resume_at) where state = 'PAUSED';
-- Serves ingest_reply_v1: the few that wait for an answer.
create index idx_sprints_asked on public.sprints (spec_id) where state = 'NEEDS_INPUT';
