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
    created_at timestamptz not null default now(),
    -- Google asked to be left alone until then.
    retry_at timestamptz,
    -- How this mailbox's senders are proven; null: as the functions' settings say for all.
    verify_dkim boolean,
    authserv_id text check (authserv_id ~ '^[A-Za-z0-9._-]{1,253}$')
);

-- The allow-list: a row lets one address, or everybody of a domain (*@example.com), target one project.
create table public.senders (
    id uuid primary key default gen_random_uuid(),
    pattern text not null check (pattern = lower(pattern) and pattern ~ '^[^@\s]+@[^@\s*]+$'),
    -- null: every project.
    project_id uuid references public.projects (id) on delete cascade,
    daily_limit integer not null default 100 check (daily_limit >= 0),
    created_at timestamptz not null default now(),
    -- What this sender has built waits for a maintainer first.
    needs_approval boolean not null default false,
    -- What each address that the pattern fits may spend in a day or a month (UTC); null: no limit of his own.
    budget_usd_day numeric(14, 6) check (budget_usd_day >= 0),
    budget_usd_month numeric(14, 6) check (budget_usd_month >= 0),
    -- The branches that he may have work done on, in which * stands for anything; null: those of the project.
    branches text[] check (cardinality(branches) between 1 and 50),
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
    -- ACCEPTED: at least one specification was stored to be built, or (reason `answer`) a question of ours was
    -- answered. INVALID: a known sender wrote something that we
    -- cannot build; he gets an answer. REFUSED: forged, unknown or looping; never answered. IGNORED: not for us.
    state text not null check (state in ('ACCEPTED', 'INVALID', 'REFUSED', 'IGNORED')),
    reason text not null default '' check (length(reason) <= 200),
    -- What has to be put right and, each marked with `note`, how the mail was read; of an ACCEPTED mail only the latter.
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
-- Serves what a mailbox tells of mail that was given up, asked each minute.
create index idx_messages_unfetchable on public.messages (mailbox_id, created_at) where reason = 'unfetchable';

-- Mails that are held back. One that Gmail named and never hands over must not hold its mailbox for ever.
create table private.fetch_failures (
    mailbox_id uuid not null references public.mailboxes (id) on delete cascade,
    gmail_id text not null check (length(gmail_id) between 1 and 200),
    -- How often Gmail could not hand it over; all that happen within a minute are one.
    failures integer not null default 1,
    first_at timestamptz not null default now(),
    last_at timestamptz not null default now(),
    primary key (mailbox_id, gmail_id)
);
alter table private.fetch_failures enable row level security;
revoke all on table private.fetch_failures from public, anon, authenticated, service_role;
