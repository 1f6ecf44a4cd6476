-- The same specification by API and by mail, in whatever order, is one.

alter function private.store_spec(public.messages, jsonb) rename to store_new_spec;

drop trigger guard_identity on public.specs;
create trigger guard_identity before update on public.specs for each row
    execute function private.guard_identity('id', 'project_id', 'repo', 'storage_path', 'sha', 'created_by');
-- What came by API belongs to no mail until the same comes by mail.
create trigger guard_message before update on public.specs for each row when (old.message_id is not null)
    execute function private.guard_identity('message_id');

-- The specification of this project that came by API or webhook, belongs to no mail yet, and has these very bytes: at
-- most a day old, or said to be of the mail with this Message-ID.
create function private.submitted_twin(p_project_id uuid, p_sha text, p_rfc_message_id text) returns uuid
language sql stable set search_path = '' as $$
    select specs.id
    from public.specs join private.submissions on submissions.spec_id = specs.id
    where specs.project_id = p_project_id and specs.sha = p_sha and specs.message_id is null
        and (specs.created_at > now() - interval '1 day'
            or p_rfc_message_id <> '' and submissions.rfc_message_id = p_rfc_message_id)
        and not exists (select from private.expired_objects where bucket = 'specs' and path = specs.storage_path)
    order by specs.created_at, specs.id
    limit 1
$$;

-- A mail brings what came by another door before it: the specification is the mail's from now on, so that its sender has
-- his receipt and the reports, those of runs that have ended, too.
create function private.join_mail(p_message public.messages, p_spec_id uuid) returns void
language plpgsql set search_path = '' as $$
begin
    perform private.lock_spec(p_spec_id);
    update public.specs set message_id = p_message.id where id = p_spec_id;
    perform private.enqueue('notify', 'spec_received:' || p_spec_id || ':' || p_message.id, jsonb_build_object(
        'template', 'spec_received', 'message_id', p_message.id, 'spec_id', p_spec_id), p_message.correlation_id);
    perform private.enqueue('notify', 'report:' || runs.id || ':' || p_message.id, jsonb_build_object(
        'template', 'report', 'spec_id', p_spec_id, 'run_id', runs.id), p_message.correlation_id)
    from public.runs
    where spec_id = p_spec_id and result is not null and summary_json ->> 'status' is distinct from 'PAUSED'
        and summary_json #>> '{error,code}' is distinct from 'cancelled';
end
$$;

-- Stores a specification, or finds that another door was faster.
create function private.store_spec(p_message public.messages, p_spec jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    target uuid;
    twin uuid;
begin
    if p_message.id is not null then
        select id into target from public.projects where lower(repo) = lower(p_spec ->> 'repo');
        -- submit_spec_v1 takes it, too: of twins by two doors one comes first. After the sender's lock, there and here.
        perform pg_advisory_xact_lock(hashtextextended('spec:' || target || ':' || (p_spec ->> 'sha'), 0));
        twin := private.submitted_twin(target, p_spec ->> 'sha', p_message.rfc_message_id);
    end if;
    if twin is null then
        perform private.store_new_spec(p_message, p_spec);
    else
        perform private.join_mail(p_message, twin);
        perform private.give_up_object((p_spec ->> 'id')::uuid);
    end if;
end
$$;
revoke all on function private.submitted_twin(uuid, text, text), private.join_mail(public.messages, uuid),
    private.store_spec(public.messages, jsonb) from public, anon, authenticated, service_role;
