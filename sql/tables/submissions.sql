-- Specifications that came by API or webhook: what is on its way, and by which door the others came.

-- A specification whose bytes the caller stores himself, through a signed URL. What he declared is compared at submit.
create table private.spec_uploads (
    -- The specification's id to be; its object is specs/ID/source.
    id uuid primary key,
    -- key:ID or user:ID.
    caller text not null check (length(caller) between 1 and 200),
    name text not null default '' check (length(name) <= 1000),
    content_type text not null check (length(content_type) between 1 and 200),
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    size bigint not null check (size between 1 and 2097152),
    rfc_message_id text not null default '' check (length(rfc_message_id) <= 2000),
    created_at timestamptz not null default now(),
    -- An object that no row names is removed when it is a day old (mark_orphans): never before this.
    expires_at timestamptz not null default now() + interval '24 hours',
    -- What became of it: itself, or the specification that was there already. null until it is submitted.
    spec_id uuid references public.specs (id) on delete cascade
);
-- Serves the bound on a caller's open uploads.
create index idx_spec_uploads_caller on private.spec_uploads (caller, created_at);
-- Serves the removal of what was never submitted.
create index idx_spec_uploads_expires_at on private.spec_uploads (expires_at) where spec_id is null;
-- Foreign key.
create index idx_spec_uploads_spec_id on private.spec_uploads (spec_id);
alter table private.spec_uploads enable row level security;
revoke all on table private.spec_uploads from public, anon, authenticated, service_role;

create table private.submissions (
    spec_id uuid primary key references public.specs (id) on delete cascade,
    door text not null check (door in ('api', 'webhook')),
    caller text not null check (length(caller) between 1 and 200),
    -- Of the mail that it came in, where the caller says so.
    rfc_message_id text not null default '' check (length(rfc_message_id) <= 2000),
    created_at timestamptz not null default now()
);
alter table private.submissions enable row level security;
revoke all on table private.submissions from public, anon, authenticated, service_role;

-- Serve the search for the same content in the same project.
create index idx_specs_sha on public.specs (project_id, sha);
create index idx_specs_content_key on public.specs (project_id, content_key);
