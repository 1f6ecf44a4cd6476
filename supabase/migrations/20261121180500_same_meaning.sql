-- The same specification is known again when its lines end otherwise or YAML has become JSON, and a run says why it failed.

alter table public.specs add column content_key text check (content_key ~ '^[0-9a-f]{64}$');
create index idx_specs_content_key on public.specs (project_id, content_key);

drop function private.twin_of(uuid, text, text);
drop function private.submitted_twin(uuid, text, text);

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

revoke all on function private.twin_of(uuid, jsonb), private.submitted_twin(uuid, jsonb, text)
    from public, anon, authenticated, service_role;

-- Asked before anything is stored: {outcome: ready, duplicate, repository-not-allowed, branch-not-allowed or
-- daily-limit, reason, spec}. p_spec: {id, repo, branch, sha, content_key, rfc_message_id, again}; `again` asks for a new one even
-- where its twin is there.
create or replace function public.check_submission_v1(p_caller jsonb, p_spec jsonb) returns jsonb
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
        'spec', null);
end
$$;

-- Takes a specification in whose object is stored: as ingest_message_v1, in one transaction. → check_submission_v1's
-- answer, with `accepted` for one that was stored now, or before under the same id.
-- p_spec: as one of ingest_message_v1's p_specs, with rfc_message_id, correlation_id, again and door.
create or replace function public.submit_spec_v1(p_caller jsonb, p_spec jsonb) returns jsonb
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

-- Stores a specification, or finds that another door was faster.
create or replace function private.store_spec(p_message public.messages, p_spec jsonb) returns void
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

-- A specification's page, null where there is none to see: what search_specs_v1 has of it, with `dod` and `questions` in
-- each sprint, and its newest fifty runs [{id, sprint_id, attempt, ci_run_id, ci_url, created_at, started_at,
-- finished_at, result, branch, commit, pull_request, verdict, error}], their newest two hundred artifacts and the first
-- two hundred events.
create or replace function public.show_spec_v1(p_spec_id uuid, p_project_ids uuid[] default null) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    spec public.specs;
    states text[];
    of_sprints jsonb;
    run_ids uuid[];
    of_runs jsonb;
begin
    select * into spec from public.specs
    where id = p_spec_id and (p_project_ids is null or project_id = any (p_project_ids));
    if spec.id is null then
        return null;
    end if;
    select array_agg(state), coalesce(jsonb_agg(jsonb_build_object('id', id, 'label', label, 'position', position,
        'state', state, 'dod', dod_json, 'resume_at', resume_at,
        'questions', coalesce(to_jsonb(sprints) -> 'questions_json', '[]')) order by position), '[]')
    into states, of_sprints
    from public.sprints where spec_id = spec.id;
    select array_agg(newest.id), coalesce(jsonb_agg(jsonb_build_object('id', id, 'sprint_id', sprint_id,
        'attempt', attempt, 'ci_run_id', ci_run_id, 'ci_url', ci_url, 'created_at', created_at,
        'started_at', started_at, 'finished_at', finished_at, 'result', result, 'branch', branch, 'commit', commit_sha,
        'pull_request', pull_request, 'verdict', summary_json -> 'verdict',
        'error', coalesce(summary_json -> 'error', summary_json -> 'failure')) order by created_at desc, id), '[]')
    into run_ids, of_runs
    from (select * from public.runs where spec_id = spec.id order by created_at desc, id limit 50) as newest;
    return jsonb_build_object('id', spec.id, 'project_id', spec.project_id, 'repo', spec.repo, 'branch', spec.branch,
        'name', spec.name, 'title', spec.title, 'format', spec.format, 'sha', spec.sha, 'size', spec.size,
        'created_by', spec.created_by, 'created_at', spec.created_at, 'state', private.state_of(states),
        'sprints', of_sprints, 'runs', of_runs,
        'artifacts', (
            select coalesce(jsonb_agg(to_jsonb(listed) - 'project_id' order by listed.created_at desc, listed.id), '[]')
            from (select * from public.artifacts where run_id = any (run_ids)
                  order by created_at desc, id limit 200) as listed),
        'events', (
            select coalesce(jsonb_agg(jsonb_build_object('id', id, 'run_id', run_id, 'phase', phase,
                'message', message, 'created_at', created_at) order by created_at, id), '[]')
            from (select * from public.status_events where spec_id = spec.id
                  order by created_at, id limit 200) as first_ones));
end
$$;
