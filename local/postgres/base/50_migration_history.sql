-- The Supabase CLI's own record of what was applied.

create table supabase_migrations.schema_migrations (
    version text not null primary key,
    statements text[],
    name text
);
alter table supabase_migrations.schema_migrations owner to postgres;
