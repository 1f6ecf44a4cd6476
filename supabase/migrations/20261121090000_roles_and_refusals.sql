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

-- How a verb says no. PostgREST answers SQLSTATE PTxyz with HTTP status xyz.

-- `p_code` is the stable kebab-case word, `p_detail` what is wrong, `p_fix` what to do about it.
create function private.refuse(p_status integer, p_code text, p_detail text, p_fix text) returns void
language plpgsql set search_path = '' as $$
begin
    raise exception using errcode = 'PT' || p_status, message = p_code, detail = p_detail, hint = p_fix;
end
$$;

-- Refuses a JSON document that is longer than we are willing to keep.
create function private.refuse_large(p_value jsonb, p_name text, p_limit integer) returns void
language plpgsql set search_path = '' as $$
begin
    if octet_length(p_value::text) > p_limit then
        perform private.refuse(413, 'too-large',
            format('%s is %s bytes long; %s are accepted.', p_name, octet_length(p_value::text), p_limit),
            'Keep the details in an artifact and send a shorter account.');
    end if;
end
$$;

-- The same words always give the same id, so that a replay meets its own rows. Version 8: made from a hash.
create function private.derived_id(p_words text) returns uuid
language sql immutable parallel safe set search_path = '' as $$
    select (substr(digest, 1, 12) || '8' || substr(digest, 14, 3) || 'a' || substr(digest, 18, 15))::uuid
    from (select encode(sha256(convert_to(p_words, 'UTF8')), 'hex') as digest) as hashed
$$;
