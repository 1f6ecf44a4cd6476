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
