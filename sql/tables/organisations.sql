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
    created_at timestamptz not null default now(),
    -- GitHub's numbers for the repository and its owner: a name can be given up and taken by somebody else. null: no
    -- identity token of that repository is exchanged for a run's token.
    repository_id text check (repository_id ~ '^[1-9][0-9]{0,19}$'),
    repository_owner_id text check (repository_owner_id ~ '^[1-9][0-9]{0,19}$'),
    constraint projects_pinned_whole check ((repository_id is null) = (repository_owner_id is null))
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
