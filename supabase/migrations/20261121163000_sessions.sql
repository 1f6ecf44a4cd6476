-- What an agent leaves for the run that goes on where it stopped: a bucket of its own.

insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values ('sessions', 'sessions', false, 52428800, array['application/gzip', 'application/octet-stream'])
on conflict (id) do update
set public = excluded.public, file_size_limit = excluded.file_size_limit,
    allowed_mime_types = excluded.allowed_mime_types;

alter table private.expired_objects
    drop constraint expired_objects_bucket_check,
    add constraint expired_objects_bucket_check check (bucket in ('specs', 'artifacts', 'sessions'));

-- The keys under which a run may have left a session.
create function private.session_paths(p_run public.runs) returns text[]
language sql immutable set search_path = '' as $$
    select array_agg(p_run.sprint_id || '/' || p_run.id || suffix)
    from unnest(array['', '.2', '.3', '.4', '.5', '.6', '.7', '.8', '.9']) as suffix
$$;

-- Marks what its policy no longer keeps: artifacts of runs that have ended, and specifications on which nothing goes on,
-- with all their artifacts and sessions. Work that is still to be done, or that an operator has to look at, holds one back.
create or replace function private.mark_expired(p_limit integer) returns void
language plpgsql set search_path = '' as $$
declare
    artifacts_since timestamptz := private.kept_since('bucket', 'artifacts');
    specs_since timestamptz := private.kept_since('bucket', 'specs');
begin
    insert into private.expired_objects (bucket, path, reason)
    select 'artifacts', artifacts.storage_path, 'retention'
    from public.artifacts join public.runs on runs.id = artifacts.run_id
    where isfinite(artifacts_since) and artifacts.created_at < artifacts_since and runs.result is not null
        and not exists (select from private.expired_objects where bucket = 'artifacts' and path = artifacts.storage_path)
    limit p_limit
    on conflict do nothing;
    with over as (
        select specs.id, specs.storage_path from public.specs
        where isfinite(specs_since) and specs.created_at < specs_since
            and not exists (select from public.sprints where spec_id = specs.id and state in ('RUNNING', 'PAUSED'))
            and not exists (select from public.runs where spec_id = specs.id
                            and (result is null or finished_at >= specs_since))
            and not exists (select from public.outbox where payload ->> 'spec_id' = specs.id::text and state <> 'DONE')
            and not exists (select from private.expired_objects where bucket = 'specs' and path = specs.storage_path)
        order by specs.created_at limit p_limit
        for no key update skip locked
    )
    insert into private.expired_objects (bucket, path, reason)
    select 'specs', storage_path, 'retention' from over
    union all
    select 'artifacts', artifacts.storage_path, 'retention'
    from over join public.runs on runs.spec_id = over.id join public.artifacts on artifacts.run_id = runs.id
    union all
    select 'sessions', objects.name, 'retention'
    from over join public.runs on runs.spec_id = over.id
    join storage.objects on bucket_id = 'sessions' and objects.name = any (private.session_paths(runs))
    on conflict do nothing;
end
$$;

-- Marks objects that are older than a day and that no row names: their writer died between the two. Of artifacts only
-- those of runs that are over, for an open run may still write its row. Looked for once an hour: it reads every object.
create or replace function private.mark_orphans(p_limit integer) returns void
language plpgsql set search_path = '' as $$
begin
    insert into private.settings as known (name, value) values ('orphans_looked_for_at', now()::text)
    on conflict (name) do update set value = excluded.value where known.value::timestamptz < now() - interval '1 hour';
    if not found then
        return;
    end if;
    insert into private.expired_objects (bucket, path, reason)
    select bucket_id, objects.name, 'orphan' from storage.objects
    where objects.created_at < now() - interval '1 day' and private.uuid_of_path(objects.name) is not null
        and (bucket_id = 'specs'
                and not exists (select from public.specs where storage_path = objects.name)
            or bucket_id = 'sessions'
                and not exists (select from public.sprints where id = private.uuid_of_path(objects.name))
            or bucket_id = 'artifacts'
                and not exists (select from public.artifacts where storage_path = objects.name)
                and not exists (select from public.runs
                                where runs.id = private.uuid_of_path(objects.name) and result is null))
    limit p_limit
    on conflict do nothing;
end
$$;

-- Finishes what is marked and whose object is gone: the rows go, and with them the mark. How many artifacts and specs.
create or replace function private.finish_removals(p_limit integer) returns jsonb
language plpgsql set search_path = '' as $$
declare
    mark private.expired_objects;
    spec public.specs;
    artifacts integer := 0;
    specs integer := 0;
begin
    for mark in
        select marked.* from private.expired_objects as marked
        where removed_at is null and not exists (
            select from storage.objects where bucket_id = marked.bucket and name = marked.path)
        -- Artifacts and sessions before specifications: a specification's runs go with it.
        order by bucket, marked_at limit p_limit for update of marked skip locked
    loop
        if mark.reason = 'orphan' then
            update private.expired_objects set removed_at = now() where bucket = mark.bucket and path = mark.path;
            continue;
        elsif mark.bucket = 'artifacts' then
            delete from public.artifacts where storage_path = mark.path;
            artifacts := artifacts + 1;
        elsif mark.bucket = 'specs' then
            select * into spec from public.specs where storage_path = mark.path;
            continue when exists (
                select from public.artifacts join public.runs on runs.id = artifacts.run_id where runs.spec_id = spec.id)
                or exists (
                    select from public.runs
                    join storage.objects on bucket_id = 'sessions' and objects.name = any (private.session_paths(runs))
                    where runs.spec_id = spec.id);
            perform private.remove_spec(spec);
            specs := specs + 1;
        end if;
        delete from private.expired_objects where bucket = mark.bucket and path = mark.path;
    end loop;
    -- An orphan that came back is none until it is a day old again.
    delete from private.expired_objects as marked using storage.objects
    where reason = 'orphan' and bucket_id = marked.bucket and name = marked.path and objects.created_at > marked.marked_at;
    delete from private.expired_objects where removed_at < now() - interval '1 day';
    return jsonb_build_object('artifacts', artifacts, 'specs', specs);
end
$$;

-- Read by a policy, asked of the row itself. SECURITY DEFINER: the marks are nobody's to read.
create function private.object_is_marked(p_bucket text, p_path text) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select from private.expired_objects where bucket = p_bucket and path = p_path and removed_at is null)
$$;
revoke all on function private.object_is_marked(text, text) from public, anon, authenticated, service_role;
grant execute on function private.object_is_marked(text, text) to aicd_functions;

revoke all on function private.session_paths(public.runs) from public, anon, authenticated, service_role;

alter policy "functions read specifications and artifacts" on storage.objects
    using ((select private.token_is_live()) and private.uuid_of_path(name) is not null
        and (bucket_id in ('specs', 'artifacts')
            or bucket_id = 'sessions' and private.object_is_marked(bucket_id, name)));

alter policy "a runner reads its specification and artifacts" on storage.objects
    using ((select private.token_is_live()) and (
        bucket_id = 'specs' and exists (select from public.specs where specs.id = private.uuid_of_path(objects.name))
        or bucket_id = 'artifacts' and exists (select from public.runs where runs.id = private.uuid_of_path(objects.name))
        or bucket_id = 'sessions' and (select private.scope_allows('build'))
            and exists (select from public.runs where runs.sprint_id = private.uuid_of_path(objects.name))));

alter policy "a runner stores artifacts of its run" on storage.objects
    with check ((select private.token_is_live()) and (
        bucket_id = 'artifacts' and (select private.scope_allows('publish'))
        and substr(name, 38) ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
        and exists (
            select from public.runs
            where runs.id = private.uuid_of_path(objects.name) and runs.started_at is not null and runs.result is null)
        or bucket_id = 'sessions' and (select private.scope_allows('build'))
        and substr(name, 38) ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}([.][2-9])?$'
        and exists (
            select from public.runs
            where runs.sprint_id = private.uuid_of_path(objects.name) and runs.id::text = substr(objects.name, 38, 36)
                and runs.started_at is not null and runs.result is null)));

alter policy "functions remove marked objects" on storage.objects
    using (bucket_id in ('specs', 'artifacts', 'sessions') and (select private.token_is_live())
        and private.may_remove_object(bucket_id, name, created_at));
