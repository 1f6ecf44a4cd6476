-- Artifacts may lie in an S3-compatible bucket instead of Storage, and be packed before they are stored.

alter table public.artifacts
    add column store text check (length(store) <= 300 and store !~ '\.\.'
        and store ~ '^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.=-]+)*$'),
    add column encoding text check (encoding in ('gzip'));

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
    insert into public.artifacts (id, run_id, kind, name, content_type, storage_path, size, sha256, store, encoding)
    select artifact_id, run.id, given.kind, coalesce(left(given.name, 1000), ''),
        coalesce(given.content_type, 'application/octet-stream'), given.storage_path, coalesce(given.size, 0),
        given.sha256, given.store, given.encoding
    from jsonb_to_record(p_artifact) as given (kind text, name text, content_type text, storage_path text, size bigint,
        sha256 text, store text, encoding text)
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

create or replace function public.describe_notice_v1(p_outbox_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
    work public.outbox;
    run public.runs;
    spec public.specs;
    mail public.messages;
begin
    perform private.require_role('aicd_functions');
    select * into work from public.outbox where id = p_outbox_id and kind = 'notify';
    if work.id is null then
        perform private.refuse(404, 'notice-not-found', 'There is no such notice.', 'Claim rows of kind notify.');
    end if;
    select * into run from public.runs where id = (work.payload ->> 'run_id')::uuid;
    select * into spec from public.specs where id = coalesce((work.payload ->> 'spec_id')::uuid, run.spec_id);
    select * into mail from public.messages where id = coalesce((work.payload ->> 'message_id')::uuid, spec.message_id);
    return jsonb_build_object('template', work.payload ->> 'template', 'idempotency_key', work.idempotency_key,
        'correlation_id', work.correlation_id, 'message_id', mail.id,
        'mailbox_email', (select email from public.mailboxes where id = mail.mailbox_id),
        'recipient', mail.sender, 'subject', mail.subject, 'gmail_thread_id', mail.gmail_thread_id,
        'rfc_message_id', mail.rfc_message_id, 'references', mail.mail_references,
        'reason', coalesce(work.payload ->> 'reason', mail.reason),
        'problems', coalesce(mail.problems, '[]'), 'spec', private.describe_spec(spec.id),
        'sprint', (select jsonb_build_object('id', id, 'label', label, 'position', position, 'state', state)
            from public.sprints where id = run.sprint_id),
        'run', private.describe_finished_run(run.id),
        'artifacts', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'name', name,
            'content_type', content_type, 'size', size, 'storage_path', storage_path, 'store', store,
            'encoding', encoding) order by created_at, id), '[]')
            from public.artifacts where run_id = run.id));
end
$$;

create or replace function public.show_run_v1(p_run_id uuid, p_event_limit integer default 200) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    run public.runs;
begin
    select * into run from public.runs where id = p_run_id;
    if run.id is null then
        return null;
    end if;
    return jsonb_build_object(
        'run', jsonb_build_object('id', run.id, 'sprint_id', run.sprint_id, 'spec_id', run.spec_id,
            'project_id', run.project_id, 'attempt', run.attempt, 'ci_run_id', run.ci_run_id, 'ci_url', run.ci_url,
            'created_at', run.created_at, 'started_at', run.started_at, 'finished_at', run.finished_at,
            'result', run.result, 'branch', run.branch, 'commit', run.commit_sha, 'pull_request', run.pull_request,
            'summary_json', run.summary_json),
        'sprint', (
            select jsonb_build_object('id', id, 'label', label, 'position', position, 'state', state,
                'dod_json', dod_json)
            from public.sprints where id = run.sprint_id),
        'spec', (
            select jsonb_build_object('id', id, 'repo', repo, 'branch', branch, 'title', title, 'name', name,
                'created_by', created_by, 'created_at', created_at)
            from public.specs where id = run.spec_id),
        'artifacts', (
            select coalesce(jsonb_agg(to_jsonb(listed) order by listed.created_at desc, listed.id), '[]')
            from (
                select id, kind, name, content_type, size, sha256, storage_path, store, encoding, created_at
                from public.artifacts where run_id = run.id order by created_at desc, id limit 200) as listed),
        'executions', (
            select coalesce(jsonb_agg(to_jsonb(listed) order by listed.created_at desc, listed.id), '[]')
            from (
                select id, iteration, agent, model, started_at, finished_at, result, cost_usd, input_tokens,
                    output_tokens, created_at
                from public.agent_executions where run_id = run.id order by created_at desc, id limit 200) as listed),
        'events', public.list_run_events_v1(run.id, null, null, p_event_limit));
end
$$;
