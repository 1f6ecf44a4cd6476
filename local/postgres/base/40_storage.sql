-- Buckets and objects as Storage keeps them: rows here, bytes elsewhere.

create type storage.buckettype as enum ('STANDARD', 'ANALYTICS', 'VECTOR');

create table storage.buckets (
    id text not null primary key,
    name text not null,
    owner uuid,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    public boolean default false,
    avif_autodetection boolean default false,
    file_size_limit bigint,
    allowed_mime_types text[],
    owner_id text,
    type storage.buckettype not null default 'STANDARD',
    constraint buckets_name_length check (length(name) <= 100)
);
create unique index bname on storage.buckets (name);

create table storage.objects (
    id uuid not null default gen_random_uuid() primary key,
    bucket_id text references storage.buckets (id),
    name text,
    owner uuid,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    last_accessed_at timestamptz default now(),
    metadata jsonb,
    path_tokens text[] generated always as (string_to_array(name, '/')) stored,
    version text,
    owner_id text,
    user_metadata jsonb
);
create unique index bucketid_objname on storage.objects (bucket_id, name);
create index name_prefix_search on storage.objects (name text_pattern_ops);

create function storage.foldername(name text) returns text[] language sql immutable as $$
    select parts[1 : array_length(parts, 1) - 1] from (select string_to_array(name, '/') as parts) as split
$$;

create function storage.filename(name text) returns text language sql immutable as $$
    select parts[array_length(parts, 1)] from (select string_to_array(name, '/') as parts) as split
$$;

create function storage.extension(name text) returns text language sql immutable as $$
    select reverse(split_part(reverse(storage.filename(name)), '.', 1))
$$;

create function storage.operation() returns text language sql stable as $$
    select current_setting('storage.operation', true)
$$;

create function storage.update_updated_at_column() returns trigger language plpgsql as $$
begin
    new.updated_at = now();
    return new;
end
$$;

create trigger update_objects_updated_at before update on storage.objects
    for each row execute function storage.update_updated_at_column();

-- A row deleted with SQL leaves its bytes behind, so only the Storage API may do it. It says so with this setting.
create function storage.protect_delete() returns trigger language plpgsql as $$
begin
    if coalesce(current_setting('storage.allow_delete_query', true), 'false') <> 'true' then
        raise exception 'Direct deletion from storage tables is not allowed. Use the Storage API instead.'
            using errcode = '42501', hint = 'A row deleted here would leave its bytes behind.';
    end if;
    return null;
end
$$;

create trigger protect_buckets_delete before delete on storage.buckets
    for each statement execute function storage.protect_delete();
create trigger protect_objects_delete before delete on storage.objects
    for each statement execute function storage.protect_delete();

alter table storage.buckets enable row level security;
alter table storage.objects enable row level security;

do $$
declare
    thing text;
begin
    alter type storage.buckettype owner to supabase_storage_admin;
    foreach thing in array array['buckets', 'objects'] loop
        execute format('alter table storage.%I owner to supabase_storage_admin', thing);
    end loop;
    for thing in select oid::regprocedure from pg_proc where pronamespace = 'storage'::regnamespace loop
        execute format('alter function %s owner to supabase_storage_admin', thing);
    end loop;
end
$$;

grant all on storage.buckets, storage.objects to anon, authenticated, service_role;
grant all on storage.buckets, storage.objects to postgres with grant option;
