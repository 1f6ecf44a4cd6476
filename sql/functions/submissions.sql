-- Specifications by API and webhook. A caller is told by {kind, id}: an API key's id, a member's, or a webhook source's
-- name; the function has proven him, and what he may is looked up here, each time anew. SECURITY DEFINER: as in
-- mailboxes.sql.

-- The id of a caller of this kind; null for one of another kind, whose id may be no uuid.
create function private.caller_id(p_caller jsonb, p_kind text) returns uuid
language sql immutable set search_path = '' as $$
    select (case p_caller ->> 'kind' when p_kind then p_caller ->> 'id' end)::uuid
$$;

-- The projects that a caller may read (specs:read), or have something built in (specs:write): a key's own project or all
-- of its organisation; a member's, where developers, maintainers and the organisation's owners and admins may have
-- built; a source's project, where it may have built and reads nothing.
create function private.projects_of_caller(p_caller jsonb, p_scope text) returns setof uuid
language sql stable set search_path = '' as $$
    select projects.id
    from public.api_keys
    join public.projects on projects.id = api_keys.project_id
        or api_keys.project_id is null and projects.organisation_id = api_keys.organisation_id
    where api_keys.id = private.caller_id(p_caller, 'key') and p_scope = any (api_keys.scopes)
        and api_keys.revoked_at is null and (api_keys.expires_at is null or api_keys.expires_at > now())
    union
    select project_id from public.project_members
    where user_id = private.caller_id(p_caller, 'user')
        and (p_scope = 'specs:read' or role in ('maintainer', 'developer'))
    union
    select projects.id
    from public.organisation_members
    join public.projects on projects.organisation_id = organisation_members.organisation_id
    where organisation_members.user_id = private.caller_id(p_caller, 'user')
        and organisation_members.role in ('owner', 'admin')
    union
    select project_id from private.webhook_sources
    where p_caller ->> 'kind' = 'webhook' and name = p_caller ->> 'id' and revoked_at is null and p_scope = 'specs:write'
$$;

-- Who a specification is by: a member's confirmed address, as if it had come by mail; else the caller's kind and id.
create function private.author_of(p_caller jsonb) returns text
language sql stable set search_path = '' as $$
    select coalesce(
        (select lower(email) from auth.users
         where id = private.caller_id(p_caller, 'user') and email_confirmed_at is not null),
        (p_caller ->> 'kind') || ':' || (p_caller ->> 'id'))
$$;

-- As refusal_of, for a caller: {code, message}, null when he may. A repository that we do not know and one that is not
-- his get the same answer. A project's `daily_specs` counts for every author apart, 100 where it says nothing.
create function private.refusal_of_caller(p_caller jsonb, p_spec jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    target public.projects;
    most integer;
begin
    select * into target from public.projects
    where lower(repo) = lower(p_spec ->> 'repo') and id in (select private.projects_of_caller(p_caller, 'specs:write'));
    if target.id is null then
        return jsonb_build_object('code', 'repository-not-allowed', 'message',
            format('You may not have anything built in the repository %s, or it is not set up here.', p_spec ->> 'repo'));
    end if;
    if jsonb_typeof(target.policy -> 'branches') = 'array' and p_spec ->> 'branch' is not null
        and p_spec ->> 'branch' <> target.default_branch
        and not private.branch_fits(p_spec ->> 'branch', target.policy -> 'branches') then
        return jsonb_build_object('code', 'branch-not-allowed', 'message',
            format('The project %s does not accept work on the branch %s.', target.repo, p_spec ->> 'branch'));
    end if;
    most := coalesce((case when jsonb_typeof(target.policy -> 'daily_specs') = 'number'
        then target.policy ->> 'daily_specs' end)::numeric::integer, 100);
    if most <= (select count(*) from public.specs
                where created_by = private.author_of(p_caller) and created_at > now() - interval '1 day') then
        return jsonb_build_object('code', 'daily-limit', 'message',
            format('Your limit of %s specifications in 24 hours is used up.', most));
    end if;
    return null;
end
$$;

-- The specification that this one already is, null when it is new: the same content for the same project, by whatever
-- door, at most a day ago; or however long ago, where both are of the mail with this Message-ID. The same content: the
-- same bytes, or another spelling of the same (a mail program's ends of lines, JSON for YAML). Mail twice is mail twice,
-- though: whoever sends a letter again means it (ingest_message_v1 knows redeliveries).
create function private.twin_of(p_project_id uuid, p_spec jsonb) returns uuid
language sql stable set search_path = '' as $$
    select specs.id
    from public.specs
    left join public.messages on messages.id = specs.message_id
    left join private.submissions on submissions.spec_id = specs.id
    where specs.project_id = p_project_id
        and (specs.sha = p_spec ->> 'sha' or specs.content_key = p_spec ->> 'content_key')
        and (specs.created_at > now() - interval '1 day'
            or p_spec ->> 'rfc_message_id' <> ''
                and p_spec ->> 'rfc_message_id' in (messages.rfc_message_id, submissions.rfc_message_id))
        and not exists (select from private.expired_objects where bucket = 'specs' and path = specs.storage_path)
    order by specs.created_at, specs.id
    limit 1
$$;

-- What the caller is to be told of a specification: {spec_id, project_id, repo, branch, title, name, format, sha, size,
-- created_by, created_at, sprints: [{id, label, position, state}], runs: [{id, sprint_id, attempt, result}]}.
create function private.describe_submitted(p_spec_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select private.describe_spec(specs.id) || jsonb_build_object('project_id', project_id, 'size', size, 'runs', (
        select coalesce(jsonb_agg(jsonb_build_object('id', runs.id, 'sprint_id', runs.sprint_id, 'attempt', attempt,
            'result', result) order by runs.created_at, runs.id), '[]')
        from public.runs where runs.spec_id = specs.id))
    from public.specs where specs.id = p_spec_id
$$;

-- Asked before anything is stored: {outcome: ready, duplicate, repository-not-allowed, branch-not-allowed or
-- daily-limit, reason, spec, planner: what the project says about planning letters, null where it says nothing}. p_spec: {id, repo, branch, sha, content_key, rfc_message_id, again}; `again` asks for a new one even
-- where its twin is there.
create function public.check_submission_v1(p_caller jsonb, p_spec jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
    target uuid;
    twin uuid;
    refusal jsonb;
begin
    perform private.require_role('aicd_functions');
    select id into target from public.projects
    where lower(repo) = lower(p_spec ->> 'repo') and id in (select private.projects_of_caller(p_caller, 'specs:write'));
    -- His own, stored before the answer was lost: said again as it was.
    select id into twin from public.specs where id = (p_spec ->> 'id')::uuid and project_id = target and sha = p_spec ->> 'sha';
    if twin is not null then
        return jsonb_build_object('outcome', 'accepted', 'reason', '', 'spec', private.describe_submitted(twin));
    end if;
    if not coalesce((p_spec ->> 'again')::boolean, false) then
        twin := private.twin_of(target, p_spec);
        if twin is not null then
            return jsonb_build_object('outcome', 'duplicate', 'reason', '', 'spec', private.describe_submitted(twin));
        end if;
    end if;
    refusal := private.refusal_of_caller(p_caller, p_spec);
    return jsonb_build_object('outcome', coalesce(refusal ->> 'code', 'ready'), 'reason', coalesce(refusal ->> 'message', ''),
        'spec', null, 'planner', (
            select policy -> 'planner' from public.projects
            where id = target and jsonb_typeof(policy -> 'planner') = 'boolean'));
end
$$;
revoke all on function public.check_submission_v1(jsonb, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.check_submission_v1(jsonb, jsonb) to aicd_functions;

-- Takes a specification in whose object is stored: as ingest_message_v1, in one transaction. → check_submission_v1's
-- answer, with `accepted` for one that was stored now, or before under the same id.
-- p_spec: as one of ingest_message_v1's p_specs, with rfc_message_id, correlation_id, again and door.
create function public.submit_spec_v1(p_caller jsonb, p_spec jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    target uuid;
    answer jsonb;
    origin public.messages;
begin
    perform private.require_role('aicd_functions');
    perform private.require_specs(jsonb_build_array(p_spec));
    select id into target from public.projects where lower(repo) = lower(p_spec ->> 'repo');
    -- The daily limit is counted under the author's own lock; twins by two doors follow each other (store_spec).
    perform pg_advisory_xact_lock(hashtextextended('sender:' || private.author_of(p_caller), 0));
    perform pg_advisory_xact_lock(hashtextextended('spec:' || target || ':' || coalesce(p_spec ->> 'content_key', p_spec ->> 'sha'), 0));
    -- Under the locks the question is asked anew, in a statement of its own that sees what was committed meanwhile.
    answer := public.check_submission_v1(p_caller, p_spec);
    if answer ->> 'outcome' = 'ready' then
        origin.sender := private.author_of(p_caller);
        origin.correlation_id := coalesce(left(p_spec ->> 'correlation_id', 200), '');
        perform private.store_spec(origin, p_spec);
        insert into private.submissions (spec_id, door, caller, rfc_message_id)
        values ((p_spec ->> 'id')::uuid, coalesce(p_spec ->> 'door', 'api'),
            (p_caller ->> 'kind') || ':' || (p_caller ->> 'id'), coalesce(left(p_spec ->> 'rfc_message_id', 2000), ''));
        answer := jsonb_build_object('outcome', 'accepted', 'reason', '', 'spec',
            private.describe_submitted((p_spec ->> 'id')::uuid));
    elsif answer ->> 'outcome' <> 'accepted' then
        perform private.give_up_object((p_spec ->> 'id')::uuid);
    end if;
    update private.spec_uploads set spec_id = (answer #>> '{spec,id}')::uuid
    where id = (p_spec ->> 'id')::uuid and answer -> 'spec' <> 'null';
    return answer;
end
$$;
revoke all on function public.submit_spec_v1(jsonb, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.submit_spec_v1(jsonb, jsonb) to aicd_functions;

-- An object that no row will name: removed by the next tick instead of in a day.
create function private.give_up_object(p_spec_id uuid) returns void
language sql set search_path = '' as $$
    insert into private.expired_objects (bucket, path, reason)
    select 'specs', storage.objects.name, 'orphan' from storage.objects
    where bucket_id = 'specs' and objects.name = p_spec_id || '/source'
        and not exists (select from public.specs where storage_path = objects.name)
    on conflict do nothing
$$;

-- An upload announced, before its URL is signed: {id, storage_path, name, content_type, sha256, size, rfc_message_id,
-- expires_at, spec_id}. p_upload: {id, name, content_type, sha256, size, rfc_message_id}. The same id again is the same
-- upload. At most 100 of a caller wait to be submitted.
create function public.begin_upload_v1(p_caller jsonb, p_upload jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    owner_name text := (p_caller ->> 'kind') || ':' || (p_caller ->> 'id');
    known private.spec_uploads;
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_upload, 'The upload', 16384);
    if not exists (select private.projects_of_caller(p_caller, 'specs:write')) then
        perform private.refuse(403, 'repository-not-allowed', 'You may not have anything built in any repository.',
            'Ask a maintainer for the role developer, or for a key with the scope specs:write.');
    end if;
    -- What was never submitted is forgotten; its object goes as every orphan does.
    delete from private.spec_uploads where id in (
        select id from private.spec_uploads where expires_at < now() and spec_id is null
        order by expires_at limit 100 for update skip locked);
    if (select count(*) from private.spec_uploads where caller = owner_name and spec_id is null) >= 100
        and not exists (select from private.spec_uploads where id = (p_upload ->> 'id')::uuid) then
        perform private.refuse(409, 'too-many-uploads', '100 uploads of yours wait to be submitted.',
            'Submit them, or wait: an upload ends after 24 hours.');
    end if;
    insert into private.spec_uploads (id, caller, name, content_type, sha256, size, rfc_message_id)
    select given.id, owner_name, coalesce(left(given.name, 1000), ''), given.content_type, given.sha256, given.size,
        coalesce(left(given.rfc_message_id, 2000), '')
    from jsonb_to_record(p_upload) as given (id uuid, name text, content_type text, sha256 text, size bigint,
        rfc_message_id text)
    on conflict (id) do nothing;
    select * into known from private.spec_uploads
    where id = (p_upload ->> 'id')::uuid and caller = owner_name and sha256 = p_upload ->> 'sha256';
    if known.id is null then
        perform private.refuse(409, 'id-taken', 'This id is in use for something else.', 'Ask for another upload.');
    end if;
    return private.describe_upload(known);
end
$$;
revoke all on function public.begin_upload_v1(jsonb, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.begin_upload_v1(jsonb, jsonb) to aicd_functions;

create function private.describe_upload(p_upload private.spec_uploads) returns jsonb
language sql stable set search_path = '' as $$
    select to_jsonb(p_upload) - 'caller' || jsonb_build_object('storage_path', p_upload.id || '/source')
$$;

-- The caller's own upload; null for another's, for none, and for one that has expired.
create function public.describe_upload_v1(p_caller jsonb, p_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    return (
        select private.describe_upload(spec_uploads)
        from private.spec_uploads
        where id = p_id and caller = (p_caller ->> 'kind') || ':' || (p_caller ->> 'id')
            and (spec_id is not null or expires_at > now()));
end
$$;
revoke all on function public.describe_upload_v1(jsonb, uuid) from public, anon, authenticated, service_role;
grant execute on function public.describe_upload_v1(jsonb, uuid) to aicd_functions;

revoke all on function private.caller_id(jsonb, text), private.projects_of_caller(jsonb, text), private.author_of(jsonb),
    private.refusal_of_caller(jsonb, jsonb), private.twin_of(uuid, jsonb), private.describe_submitted(uuid),
    private.give_up_object(uuid), private.describe_upload(private.spec_uploads)
    from public, anon, authenticated, service_role;

-- The specification of this project that came by API or webhook, belongs to no mail yet, and has this content: at most a
-- day old, or said to be of the mail with this Message-ID.
create function private.submitted_twin(p_project_id uuid, p_spec jsonb, p_rfc_message_id text) returns uuid
language sql stable set search_path = '' as $$
    select specs.id
    from public.specs join private.submissions on submissions.spec_id = specs.id
    where specs.project_id = p_project_id and specs.message_id is null
        and (specs.sha = p_spec ->> 'sha' or specs.content_key = p_spec ->> 'content_key')
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
declare
    spec public.specs;
begin
    perform private.lock_spec(p_spec_id);
    update public.specs set message_id = p_message.id where id = p_spec_id returning * into spec;
    spec.correlation_id := p_message.correlation_id;
    perform private.enqueue_receipt(spec, p_message.id, p_spec_id || ':' || p_message.id);
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
        perform pg_advisory_xact_lock(hashtextextended('spec:' || target || ':' || coalesce(p_spec ->> 'content_key', p_spec ->> 'sha'), 0));
        twin := private.submitted_twin(target, p_spec, p_message.rfc_message_id);
    end if;
    if twin is null then
        perform private.store_new_spec(p_message, p_spec);
        update public.specs set content_key = p_spec ->> 'content_key' where id = (p_spec ->> 'id')::uuid;
    else
        perform private.join_mail(p_message, twin);
        perform private.give_up_object((p_spec ->> 'id')::uuid);
    end if;
end
$$;
revoke all on function private.submitted_twin(uuid, jsonb, text), private.join_mail(public.messages, uuid),
    private.store_spec(public.messages, jsonb) from public, anon, authenticated, service_role;
