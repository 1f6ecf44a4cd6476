-- Retention: rows and objects whose time has come, removed together, in an order that survives any interruption.

-- What is older may go; -infinity where everything is kept.
create function private.kept_since(p_kind text, p_name text) returns timestamptz
language sql stable set search_path = '' as $$
    select coalesce((
        select now() - make_interval(days => keep_days)
        from public.retention_policies where kind = p_kind and name = p_name), '-infinity')
$$;

-- Nothing leaves the audit log before its time, whoever asks, the owner too.
create function private.keep_audit_log() returns trigger
language plpgsql set search_path = '' as $$
begin
    if old.created_at >= private.kept_since('table', 'audit_log') then
        perform private.refuse(409, 'append-only', 'audit_log is only ever added to.',
            'A row leaves it when its retention policy says so, and not before.');
    end if;
    return old;
end
$$;
create trigger keep_audit_log before delete on public.audit_log
    for each row execute function private.keep_audit_log();

-- Whether a specification is on its way out. Asked under its lock (lock_spec), under which it is marked, too.
create function private.refuse_expired(p_spec_id uuid) returns void
language plpgsql set search_path = '' as $$
begin
    if exists (select from private.expired_objects join public.specs on storage_path = path
               where bucket = 'specs' and specs.id = p_spec_id) then
        perform private.refuse(409, 'spec-expired', 'This specification is older than its retention policy allows, and is being removed.',
            'Send it again.');
    end if;
end
$$;

-- A specification's row is about to name its object. If that was taken for an orphan, it is none; if it is gone already,
-- the row must not be written: the caller stores it again. Waits for a removal that is under way.
create function private.claim_object() returns trigger
language plpgsql set search_path = '' as $$
begin
    delete from private.expired_objects where bucket = 'specs' and path = new.storage_path;
    if found and not exists (select from storage.objects where bucket_id = 'specs' and name = new.storage_path) then
        perform private.refuse(503, 'object-removed', 'The object was removed before anything named it.',
            'Store it again, then repeat the call.');
    end if;
    return new;
end
$$;
create trigger claim_object before insert on public.specs
    for each row execute function private.claim_object();

-- Asked by the policy on storage.objects for each object that tick has removed. The mark stays locked until the removal
-- is committed, so that nobody claims the object meanwhile. SECURITY DEFINER: the marks are nobody's to read.
create function private.may_remove_object(p_bucket text, p_path text, p_stored_at timestamptz) returns boolean
language plpgsql volatile security definer set search_path = '' as $$
declare
    mark private.expired_objects;
begin
    select * into mark from private.expired_objects
    where bucket = p_bucket and path = p_path and removed_at is null for share;
    -- An orphan that was stored anew since it was marked may be about to get its row.
    return mark.path is not null and (mark.reason = 'retention' or p_stored_at <= mark.marked_at);
end
$$;

-- Rows without objects; how many of each table. Where everything is kept, isfinite spares the table being read.
create function private.expire_rows(p_limit integer) returns jsonb
language plpgsql set search_path = '' as $$
declare
    gone jsonb := '{}';
    counted integer;
    since timestamptz := private.kept_since('table', 'status_events');
begin
    delete from public.status_events where id in (
        select id from public.status_events where isfinite(since) and created_at < since
        order by created_at limit p_limit);
    get diagnostics counted = row_count;
    gone := gone || jsonb_build_object('status_events', counted);
    since := private.kept_since('table', 'agent_executions');
    delete from public.agent_executions where id in (
        select id from public.agent_executions where isfinite(since) and created_at < since limit p_limit);
    get diagnostics counted = row_count;
    gone := gone || jsonb_build_object('agent_executions', counted);
    -- Dead letters wait for an operator. The work order of a run that is open keeps a second one from being written.
    since := private.kept_since('table', 'outbox');
    delete from public.outbox where id in (
        select id from public.outbox
        where isfinite(since) and state = 'DONE' and done_at < since and not exists (
            select from public.runs where runs.id = (payload ->> 'run_id')::uuid and result is null)
        limit p_limit);
    get diagnostics counted = row_count;
    gone := gone || jsonb_build_object('outbox', counted);
    -- The mail of a specification is kept as long as the specification.
    since := private.kept_since('table', 'messages');
    delete from public.messages where id in (
        select id from public.messages
        where isfinite(since) and created_at < since
            and not exists (select from public.specs where specs.message_id = messages.id)
        limit p_limit);
    get diagnostics counted = row_count;
    gone := gone || jsonb_build_object('messages', counted);
    since := private.kept_since('table', 'ledger');
    delete from public.ledger where id in (
        select id from public.ledger where isfinite(since) and created_at < since limit p_limit);
    get diagnostics counted = row_count;
    gone := gone || jsonb_build_object('ledger', counted);
    delete from private.daily_spending where isfinite(since) and day < since::date;
    since := private.kept_since('table', 'audit_log');
    delete from public.audit_log where id in (
        select id from public.audit_log where isfinite(since) and created_at < since limit p_limit);
    get diagnostics counted = row_count;
    if counted > 0 then
        perform private.audit('expire_rows', 'audit_log', 'audit_log', null, jsonb_build_object('rows', counted));
    end if;
    return gone || jsonb_build_object('audit_log', counted);
end
$$;

-- The keys under which a run may have left a session.
create function private.session_paths(p_run public.runs) returns text[]
language sql immutable set search_path = '' as $$
    select array_agg(p_run.sprint_id || '/' || p_run.id || suffix)
    from unnest(array['', '.2', '.3', '.4', '.5', '.6', '.7', '.8', '.9']) as suffix
$$;

-- Marks what its policy no longer keeps: artifacts of runs that have ended, and specifications on which nothing goes on,
-- with all their artifacts and sessions. Work that is still to be done, or that an operator has to look at, holds one back.
create function private.mark_expired(p_limit integer) returns void
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

-- Marks objects that are older than a day and that no row names: their writer died between the two. Of artifacts and
-- sessions only those of runs that are over, for an open run may still write its row; a sprint that is over needs no
-- session. Looked for once an hour: it reads every object.
create function private.mark_orphans(p_limit integer) returns void
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
                and not exists (select from public.sprints
                                where id = private.uuid_of_path(objects.name) and session_json ->> 'path' = objects.name
                                    and state not in ('DONE', 'CANCELLED'))
                and not exists (select from public.runs
                                where sprint_id = private.uuid_of_path(objects.name) and result is null)
            or bucket_id = 'artifacts'
                and not exists (select from public.artifacts where storage_path = objects.name)
                and not exists (select from public.runs
                                where runs.id = private.uuid_of_path(objects.name) and result is null))
    limit p_limit
    on conflict do nothing;
end
$$;

-- A specification whose object is gone, and everything that was made of it. Its artifacts went before.
create function private.remove_spec(p_spec public.specs) returns void
language plpgsql set search_path = '' as $$
begin
    perform private.audit('expire_spec', 'specs', p_spec.id::text, p_spec.project_id,
        jsonb_build_object('repo', p_spec.repo, 'sha', p_spec.sha, 'created_by', p_spec.created_by,
            'created_at', p_spec.created_at));
    delete from public.outbox where payload ->> 'spec_id' = p_spec.id::text and state = 'DONE';
    delete from public.status_events where spec_id = p_spec.id;
    delete from public.agent_executions where run_id in (select id from public.runs where spec_id = p_spec.id);
    delete from public.runs where spec_id = p_spec.id;
    delete from public.sprints where spec_id = p_spec.id;
    delete from public.specs where id = p_spec.id;
end
$$;

-- Finishes what is marked and whose object is gone: the rows go, and with them the mark. How many artifacts and specs.
create function private.finish_removals(p_limit integer) returns jsonb
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

-- One step of retention: {rows: {table: how many were deleted}, objects: [{bucket, path}] that are to be removed}. tick
-- removes them through the Storage API, which removes bytes and object row together, and calls again; the rows that
-- name them go then. At most p_limit of each kind. SECURITY DEFINER: as in mailboxes.sql.
create function public.expire_rows_v1(p_limit integer default 500) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    most integer := least(greatest(p_limit, 1), 10000);
    gone jsonb;
begin
    perform private.require_role('aicd_functions');
    gone := private.finish_removals(most);
    gone := gone || private.expire_rows(most);
    perform private.mark_expired(most);
    perform private.mark_orphans(most);
    return jsonb_build_object('rows', gone, 'objects', (
        select coalesce(jsonb_agg(jsonb_build_object('bucket', bucket, 'path', path) order by marked_at, path), '[]')
        from (
            select marked.* from private.expired_objects as marked
            join storage.objects on bucket_id = marked.bucket and name = marked.path
            where removed_at is null order by marked_at, path limit most) as due));
end
$$;
revoke all on function public.expire_rows_v1(integer) from public, anon, authenticated, service_role;
grant execute on function public.expire_rows_v1(integer) to aicd_functions;

-- The operator's: how long a table's rows or a bucket's objects are kept; null for ever.
create function public.set_retention_v1(p_kind text, p_name text, p_keep_days integer) returns jsonb
language plpgsql set search_path = '' as $$
declare
    before integer;
begin
    select keep_days into before from public.retention_policies where kind = p_kind and name = p_name for update;
    begin
        insert into public.retention_policies (kind, name, keep_days) values (p_kind, p_name, p_keep_days)
        on conflict (kind, name) do update set keep_days = excluded.keep_days, changed_at = now();
    exception when check_violation then
        perform private.refuse(400, 'bad-retention', format('%s:%s is not kept for %s days.', p_kind, p_name, p_keep_days),
            'aicd retention list names what expires. The least is 90 days for audit_log, 62 for ledger, 30 for messages, 8 for outbox, artifacts and specs, 1 for the others.');
    end;
    perform private.audit('set_retention', 'retention_policies', p_kind || ':' || p_name, null,
        jsonb_build_object('keep_days', p_keep_days, 'was', before));
    return jsonb_build_object('kind', p_kind, 'name', p_name, 'keep_days', p_keep_days);
end
$$;
revoke all on function public.set_retention_v1(text, text, integer) from public, anon, authenticated, service_role;

revoke all on function private.kept_since(text, text), private.keep_audit_log(), private.refuse_expired(uuid),
    private.claim_object(), private.may_remove_object(text, text, timestamptz), private.expire_rows(integer),
    private.session_paths(public.runs), private.mark_expired(integer), private.mark_orphans(integer), private.remove_spec(public.specs),
    private.finish_removals(integer) from public, anon, authenticated, service_role;
