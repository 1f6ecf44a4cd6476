-- A row's project and specification are its parent's, always: policies trust these columns.
-- A parent that does not exist leaves null, which the column refuses.

create function private.inherit_project() returns trigger
language plpgsql set search_path = '' as $$
begin
    select id into new.project_id from public.projects where lower(repo) = lower(new.repo);
    return new;
end
$$;
create trigger inherit_project before insert on public.specs
    for each row execute function private.inherit_project();

create function private.inherit_from_spec() returns trigger
language plpgsql set search_path = '' as $$
begin
    select project_id into new.project_id from public.specs where id = new.spec_id;
    return new;
end
$$;
create trigger inherit_from_spec before insert on public.sprints
    for each row execute function private.inherit_from_spec();

create function private.inherit_from_sprint() returns trigger
language plpgsql set search_path = '' as $$
begin
    select spec_id, project_id into new.spec_id, new.project_id from public.sprints where id = new.sprint_id;
    return new;
end
$$;
create trigger inherit_from_sprint before insert on public.runs
    for each row execute function private.inherit_from_sprint();

create function private.inherit_from_run() returns trigger
language plpgsql set search_path = '' as $$
begin
    select project_id into new.project_id from public.runs where id = new.run_id;
    return new;
end
$$;
create trigger inherit_from_run before insert on public.artifacts
    for each row execute function private.inherit_from_run();
create trigger inherit_from_run before insert on public.agent_executions
    for each row execute function private.inherit_from_run();

create function private.inherit_event() returns trigger
language plpgsql set search_path = '' as $$
begin
    if new.run_id is null then
        select project_id into new.project_id from public.specs where id = new.spec_id;
    else
        select spec_id, project_id into new.spec_id, new.project_id from public.runs where id = new.run_id;
    end if;
    return new;
end
$$;
create trigger inherit_event before insert on public.status_events
    for each row execute function private.inherit_event();
