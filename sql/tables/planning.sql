-- What is kept of a planning while it goes on.

-- What the planner's model answered, until its plan is recorded: who is killed in between need not pay for it again. No
-- role reads it but through find_answer_v1.
create table private.kept_answers (
    sprint_id uuid not null references public.sprints (id) on delete cascade,
    -- The SHA-256 of all that was asked.
    key text not null check (key ~ '^[0-9a-f]{64}$'),
    answer jsonb not null,
    created_at timestamptz not null default now(),
    primary key (sprint_id, key)
);
alter table private.kept_answers enable row level security;
revoke all on table private.kept_answers from public, anon, authenticated, service_role;
