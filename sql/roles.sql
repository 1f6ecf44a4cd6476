-- Who may speak to the database, and the schema that is never served over HTTP.
-- Rule: no component holds the god key; service_role is granted nothing by us.

do $$
begin
    -- Intake, dispatch, notify, tick. It inherits, because Storage's own grants reach it through anon.
    if not exists (select from pg_roles where rolname = 'aicd_functions') then
        create role aicd_functions nologin inherit;
    end if;
    -- One run on somebody's runner; its claims say which.
    if not exists (select from pg_roles where rolname = 'aicd_runner') then
        create role aicd_runner nologin inherit;
    end if;
end
$$;

-- The API logs in as authenticator and becomes the role that the token names.
grant aicd_functions, aicd_runner to authenticator;
-- Storage grants its tables to anon; a role of ours reaches them only so. anon itself gets nothing from us.
grant anon to aicd_functions, aicd_runner;

-- Without these none of the API's time limits would hold for our roles.
alter role aicd_functions set statement_timeout = '15s';
alter role aicd_runner set statement_timeout = '15s';

-- What policies and verbs lean on. Not among the schemas that PostgREST exposes.
create schema private;
revoke all on schema private from public;
grant usage on schema private to authenticated, aicd_functions, aicd_runner;
grant usage on schema public to authenticated, aicd_functions, aicd_runner;
