-- In the cloud `postgres` may write policies on Storage's tables without owning them. Plain Postgres cannot express
-- that, so here it is a member of their owner, and this guard refuses all else that the membership would permit, with
-- the answer that the cloud gives.

create schema local_guard;

create function local_guard.refuse_changes() returns event_trigger language plpgsql as $$
declare
    thing record;
begin
    if session_user <> 'postgres' then
        return;
    end if;
    for thing in select * from pg_event_trigger_ddl_commands() loop
        if thing.schema_name in ('storage', 'auth') and thing.command_tag !~ ' (POLICY|TRIGGER)$' then
            raise exception 'must be owner of %', thing.object_identity using errcode = '42501',
                hint = 'Supabase keeps the schemas auth and storage to itself; only policies and triggers may be added.';
        end if;
    end loop;
end
$$;

create function local_guard.refuse_drops() returns event_trigger language plpgsql as $$
declare
    thing record;
begin
    if session_user <> 'postgres' then
        return;
    end if;
    for thing in select * from pg_event_trigger_dropped_objects() loop
        if thing.original and thing.object_type <> 'policy'
            and coalesce(thing.schema_name, thing.address_names[1]) in ('storage', 'auth') then
            raise exception 'must be owner of %', thing.object_identity using errcode = '42501',
                hint = 'Supabase keeps the schemas auth and storage to itself; only policies may be dropped.';
        end if;
    end loop;
end
$$;

create event trigger refuse_changes on ddl_command_end execute function local_guard.refuse_changes();
create event trigger refuse_drops on sql_drop execute function local_guard.refuse_drops();
grant usage on schema local_guard to public;
