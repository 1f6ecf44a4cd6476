-- The roles that a Supabase project has before its first migration.
-- The cluster's superuser is supabase_admin. `postgres`, who applies migrations, is none: what only a superuser may do
-- has to fail here as it fails in the cloud.

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit;
create role supabase_auth_admin nologin noinherit createrole;
create role supabase_storage_admin nologin noinherit createrole;
create role postgres login createdb createrole bypassrls;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role, authenticator to postgres with admin option;
-- Lets postgres write policies on storage.objects; 60_ownership_guard.sql takes back all else that it gives.
grant supabase_storage_admin to postgres;

alter role postgres set search_path = "$user", public, extensions;
alter role postgres set statement_timeout = '2min';
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';

-- What the cloud lets postgres say about the API: `alter role authenticator set pgrst.… = …`.
grant set on parameter pgrst.db_pre_request to postgres;
