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
