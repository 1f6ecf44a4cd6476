-- Keys for programs that send specifications. What a key is told by stands apart from what it is checked by, so that no
-- grant on the one can ever show the other.

create table public.api_keys (
    id uuid primary key default gen_random_uuid(),
    organisation_id uuid not null references public.organisations (id) on delete cascade,
    -- null: every project of the organisation.
    project_id uuid references public.projects (id) on delete cascade,
    name text not null check (length(name) between 1 and 100),
    -- The key's own beginning, aicd_PREFIX_…, by which a person tells keys apart. Not secret.
    prefix text not null check (prefix ~ '^[0-9a-f]{8}$'),
    scopes text[] not null check (cardinality(scopes) > 0 and scopes <@ array['specs:read', 'specs:write']),
    -- null: the operator.
    created_by uuid references auth.users (id) on delete set null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    -- What may be spent in a day or a month (UTC) on what it hands in; null: no limit of its own. NaN is more than every
    -- number.
    budget_usd_day numeric(14, 6) check (budget_usd_day >= 0 and budget_usd_day < 'NaN'),
    budget_usd_month numeric(14, 6) check (budget_usd_month >= 0 and budget_usd_month < 'NaN')
);
-- Policy columns first; then a project's list, newest first.
create index idx_api_keys_project_id on public.api_keys (project_id, created_at desc, id);
create index idx_api_keys_organisation_id on public.api_keys (organisation_id, created_at desc, id);
-- Foreign key: removing a user looks his keys up.
create index idx_api_keys_created_by on public.api_keys (created_by);
alter table public.api_keys enable row level security;
revoke all on table public.api_keys from public, anon, authenticated, service_role;

-- SHA-256 of the whole key, in hex. The key is 256 bits of chance: a slow hash would protect it no better.
create table private.api_key_hashes (
    hash text primary key check (hash ~ '^[0-9a-f]{64}$'),
    key_id uuid not null unique references public.api_keys (id) on delete cascade
);
alter table private.api_key_hashes enable row level security;
revoke all on table private.api_key_hashes from public, anon, authenticated, service_role;
