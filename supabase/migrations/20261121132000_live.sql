-- Telling listeners of every status event as it is committed. docs/live.md says how to listen.

-- In the cloud through Realtime's broadcast from the database, on the private channels run:ID and project:ID; elsewhere
-- through notify, with ids only, because whoever has a connection may listen to that. The broadcast leaves out metadata,
-- which may be larger than a message may be. An event that nobody could be told of is recorded all the same.
create function private.announce_event() returns trigger
language plpgsql set search_path = '' as $$
declare
    told jsonb;
begin
    if to_regprocedure('realtime.send(jsonb,text,text,boolean)') is null then
        perform pg_notify('aicd_events', jsonb_build_object('id', new.id, 'project_id', new.project_id,
            'run_id', new.run_id)::text);
        return null;
    end if;
    told := to_jsonb(new) - 'metadata';
    perform realtime.send(told, 'status_event', 'project:' || new.project_id, true);
    if new.run_id is not null then
        perform realtime.send(told, 'status_event', 'run:' || new.run_id, true);
    end if;
    return null;
exception when others then
    raise warning 'status event % was not announced: %', new.id, sqlerrm;
    return null;
end
$$;
create trigger announce_event after insert on public.status_events
    for each row execute function private.announce_event();

-- Whether the member may listen to this channel: his project's, or that of a run that he may read.
create function private.may_listen(p_topic text) returns boolean
language plpgsql stable set search_path = '' as $$
declare
    subject_id uuid;
begin
    if p_topic is null
        or p_topic !~ '^(project|run):[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then
        return false;
    end if;
    subject_id := split_part(p_topic, ':', 2)::uuid;
    if p_topic like 'project:%' then
        return subject_id in (select private.my_project_ids());
    end if;
    return exists (select from public.runs where id = subject_id);
end
$$;

-- Who may listen to which channel. Nobody may send: there is no policy for INSERT, the database alone broadcasts.

revoke all on function private.announce_event(), private.may_listen(text)
    from public, anon, authenticated, service_role;
-- The policy below is evaluated as the one who listens.
grant execute on function private.may_listen(text) to authenticated;

-- Writes the policy where there is a Realtime to write it for; whether there is. Called by the migration, and by the
-- operator of a project whose Realtime came later: select private.guard_channels().
create function private.guard_channels() returns boolean
language plpgsql set search_path = '' as $$
begin
    if to_regclass('realtime.messages') is null or to_regprocedure('realtime.topic()') is null then
        return false;
    end if;
    if not exists (
        select from pg_catalog.pg_policies
        where schemaname = 'realtime' and tablename = 'messages'
            and policyname = 'members listen to their projects and runs') then
        -- The extension says that it is a broadcast and not somebody's presence.
        execute $policy$
            create policy "members listen to their projects and runs" on realtime.messages for select to authenticated
                using (extension = 'broadcast' and (select private.may_listen((select realtime.topic()))))
        $policy$;
    end if;
    return true;
end
$$;
revoke all on function private.guard_channels() from public, anon, authenticated, service_role;

do $$
begin
    perform private.guard_channels();
end
$$;
