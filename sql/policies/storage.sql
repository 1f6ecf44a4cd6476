-- Buckets and the paths in them. Keys are ours: specs/SPEC_ID/source, artifacts/RUN_ID/ARTIFACT_ID, and
-- sessions/SPRINT_ID/RUN_ID, with .2 to .9 behind it where a run was begun again and left another. A key of another
-- form has no uuid (private.uuid_of_path) and is nobody's. There is no policy for UPDATE, and one for DELETE (retention.sql).

insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values
    ('specs', 'specs', false, 2097152, array['application/yaml', 'application/x-yaml', 'text/yaml', 'application/json',
        'text/markdown', 'text/plain', 'application/octet-stream']),
    -- Reports of any format, so any type; they are served as downloads.
    ('artifacts', 'artifacts', false, 104857600, null),
    -- What an agent left for the run that goes on: its transcript may hold anything, so it is nobody's to read but
    -- that run's.
    ('sessions', 'sessions', false, 52428800, array['application/gzip', 'application/octet-stream'])
on conflict (id) do update
set public = excluded.public, file_size_limit = excluded.file_size_limit,
    allowed_mime_types = excluded.allowed_mime_types;

-- Intake stores what came in.
create policy "functions store specifications" on storage.objects for insert to aicd_functions
    with check (bucket_id = 'specs' and (select private.token_is_live())
        and private.uuid_of_path(name) is not null and substr(name, 38) = 'source');

-- Read by a policy, asked of the row itself. SECURITY DEFINER: the marks are nobody's to read.
create function private.object_is_marked(p_bucket text, p_path text) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (select from private.expired_objects where bucket = p_bucket and path = p_path and removed_at is null)
$$;
revoke all on function private.object_is_marked(text, text) from public, anon, authenticated, service_role;
grant execute on function private.object_is_marked(text, text) to aicd_functions;

-- A second delivery compares with what is stored; notify signs links to artifacts. Of sessions only what is to go is
-- seen, for Storage removes only what it sees.
create policy "functions read specifications and artifacts" on storage.objects for select to aicd_functions
    using ((select private.token_is_live()) and private.uuid_of_path(name) is not null
        and (bucket_id in ('specs', 'artifacts')
            or bucket_id = 'sessions' and private.object_is_marked(bucket_id, name)));

-- Whoever may read the row may read the bytes: the subqueries run under the policies of specs and runs. Sessions are
-- the building half's: what earlier runs of the same sprint left.
create policy "a runner reads its specification and artifacts" on storage.objects for select to aicd_runner
    using ((select private.token_is_live()) and (
        bucket_id = 'specs' and exists (select from public.specs where specs.id = private.uuid_of_path(objects.name))
        or bucket_id = 'artifacts' and exists (select from public.runs where runs.id = private.uuid_of_path(objects.name))
        or bucket_id = 'sessions' and (select private.scope_allows('build'))
            and exists (select from public.runs where runs.sprint_id = private.uuid_of_path(objects.name))));

-- Artifacts come from the half of the run that the agent cannot reach, sessions from the other one, and neither after
-- the run's end.
create policy "a runner stores artifacts of its run" on storage.objects for insert to aicd_runner
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

create policy "members read the files of their projects" on storage.objects for select to authenticated
    using ((select private.token_is_live()) and (
        bucket_id = 'specs' and exists (select from public.specs where specs.id = private.uuid_of_path(objects.name))
        or bucket_id = 'artifacts' and exists (select from public.runs where runs.id = private.uuid_of_path(objects.name))));
