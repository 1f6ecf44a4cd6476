-- Who may look into which schema. New tables in public are granted to nobody: every migration grants what it means to.

alter database postgres owner to postgres;

create schema extensions authorization postgres;
create schema auth authorization supabase_auth_admin;
create schema storage authorization supabase_storage_admin;
create schema supabase_migrations authorization postgres;

grant usage on schema public, extensions, auth, storage to postgres, anon, authenticated, service_role;
