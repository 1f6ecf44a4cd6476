-- Buckets and the paths in them. Keys are ours: specs/SPEC_ID/source, artifacts/RUN_ID/ARTIFACT_ID. A key of another
-- form has no uuid (private.uuid_of_path) and is nobody's. There is no policy for UPDATE, and one for DELETE (retention.sql).

insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values
    ('specs', 'specs', false, 2097152, array['application/yaml', 'application/x-yaml', 'text/yaml', 'application/json',
        'text/markdown', 'text/plain', 'application/octet-stream']),
    -- Reports of any format, so any type; they are served as downloads.
    ('artifacts', 'artifacts', false, 104857600, null)
on conflict (id) do update
set public = excluded.public, file_size_limit = excluded.file_size_limit,
    allowed_mime_types = excluded.allowed_mime_types;

-- Intake stores what came in.
create policy "functions store specifications" on storage.objects for insert to aicd_functions
    with check (bucket_id = 'specs' and (select private.token_is_live())
        and private.uuid_of_path(name) is not null and substr(name, 38) = 'source');

-- A second delivery compares with what is stored; notify signs links to artifacts.
create policy "functions read specifications and artifacts" on storage.objects for select to aicd_functions
    using (bucket_id in ('specs', 'artifacts') and (select private.token_is_live())
        and private.uuid_of_path(name) is not null);

-- Whoever may read the row may read the bytes: the subqueries run under the policies of specs and runs.
create policy "a runner reads its specification and artifacts" on storage.objects for select to aicd_runner
    using ((select private.token_is_live()) and (
        bucket_id = 'specs' and exists (select from public.specs where specs.id = private.uuid_of_path(objects.name))
        or bucket_id = 'artifacts' and exists (select from public.runs where runs.id = private.uuid_of_path(objects.name))));

-- Artifacts come from the half of the run that the agent cannot reach, and not after its end.
create policy "a runner stores artifacts of its run" on storage.objects for insert to aicd_runner
    with check (bucket_id = 'artifacts' and (select private.token_is_live()) and (select private.scope_allows('publish'))
        and substr(name, 38) ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
        and exists (
            select from public.runs
            where runs.id = private.uuid_of_path(objects.name) and runs.started_at is not null and runs.result is null));

create policy "members read the files of their projects" on storage.objects for select to authenticated
    using ((select private.token_is_live()) and (
        bucket_id = 'specs' and exists (select from public.specs where specs.id = private.uuid_of_path(objects.name))
        or bucket_id = 'artifacts' and exists (select from public.runs where runs.id = private.uuid_of_path(objects.name))));
