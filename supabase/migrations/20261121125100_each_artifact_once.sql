-- A job that is run again after a kill uploads its artifacts again, some with other bytes: the run keeps each name once.

create or replace function public.record_artifact_v1(p_run_id uuid, p_artifact jsonb) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, 'publish');
    artifact_id uuid := (p_artifact ->> 'id')::uuid;
begin
    if p_artifact ->> 'storage_path' is distinct from run.id || '/' || artifact_id then
        perform private.refuse(400, 'bad-storage-path', 'An artifact is stored under RUN_ID/ARTIFACT_ID.',
            'Use the path that RunnerStore.put_artifact returns.');
    end if;
    insert into public.artifacts (id, run_id, kind, name, content_type, storage_path, size, sha256)
    select artifact_id, run.id, given.kind, coalesce(left(given.name, 1000), ''),
        coalesce(given.content_type, 'application/octet-stream'), given.storage_path, coalesce(given.size, 0),
        given.sha256
    from jsonb_to_record(p_artifact) as given (kind text, name text, content_type text, storage_path text, size bigint,
        sha256 text)
    on conflict (id) do nothing;
    if not exists (select from public.artifacts where id = artifact_id and run_id = run.id
                   and sha256 is not distinct from p_artifact ->> 'sha256') then
        perform private.refuse(409, 'id-taken', 'This artifact id is in use for something else.',
            'Derive the id from the run and the artifact''s name; other content is another artifact.');
    end if;
    delete from public.artifacts
    where run_id = run.id and id <> artifact_id and name <> '' and name = coalesce(left(p_artifact ->> 'name', 1000), '');
    return artifact_id;
end
$$;
