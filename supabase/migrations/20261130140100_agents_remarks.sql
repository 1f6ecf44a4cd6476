-- People's own agents say how it goes, what they decided and what they need to know, and see what was measured.

-- The specification, locked, if this caller may have something built in its project.
create function private.require_writer(p_caller jsonb, p_spec_id uuid) returns public.specs
language plpgsql set search_path = '' as $$
declare
    spec public.specs;
    may_write boolean;
begin
    select * into spec from public.specs where id = p_spec_id;
    may_write := spec.project_id in (select private.projects_of_caller(p_caller, 'specs:write'));
    if spec.id is null
        or not may_write and spec.project_id not in (select private.projects_of_caller(p_caller, 'specs:read')) then
        perform private.refuse(404, 'spec-not-found', 'There is no such specification for you.',
            'Check its id, and that your key or your role in its project is for it.');
    end if;
    if not may_write then
        perform private.refuse(403, 'not-developer',
            'This is for the project''s developers and maintainers, and for keys with the scope specs:write.',
            'Ask a maintainer for the role, or for such a key.');
    end if;
    perform private.lock_spec(spec.id);
    perform private.refuse_expired(spec.id);
    return spec;
end
$$;

-- A specification that is over is not spoken about any more.
create function private.refuse_finished(p_spec_id uuid) returns void
language plpgsql stable set search_path = '' as $$
begin
    if not exists (select from public.sprints where spec_id = p_spec_id and state not in ('DONE', 'CANCELLED')) then
        perform private.refuse(409, 'spec-finished', 'Every sprint of this specification is done or cancelled.',
            'Send a new specification for what is still to be done.');
    end if;
end
$$;

create function private.refuse_bad_note(p_note jsonb) returns void
language plpgsql set search_path = '' as $$
begin
    perform private.refuse_large(p_note, 'The note', 32768);
    if p_note ->> 'id' is null or not (case p_note ->> 'kind'
            when 'progress' then coalesce(p_note ->> 'text', '') ~ '\S' and length(p_note ->> 'text') <= 1000
            when 'decision' then coalesce(p_note ->> 'title', '') ~ '\S' and length(p_note ->> 'title') <= 500
                and coalesce(p_note ->> 'reason', '') ~ '\S' and length(p_note ->> 'reason') <= 4000
            else false end) then
        perform private.refuse(400, 'bad-note', 'A note is a progress with a text, or a decision with a title and a reason.',
            'Hand over {id, kind: progress, text} or {id, kind: decision, title, reason}.');
    end if;
end
$$;

-- p_note: {id, kind: progress, text} or {id, kind: decision, title, reason} → {event_id}: an event of the specification
-- that belongs to no run and says who. The same id is one event. At most 20 in an hour and 100 in all: a page shows the
-- first two hundred events, and what becomes of the runs must be among them.
create function private.note(p_caller jsonb, p_spec_id uuid, p_note jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    spec public.specs := private.require_writer(p_caller, p_spec_id);
    noted record;
begin
    perform private.refuse_bad_note(p_note);
    if exists (select from public.status_events where id = (p_note ->> 'id')::uuid and spec_id = spec.id) then
        return jsonb_build_object('event_id', p_note -> 'id');
    end if;
    perform private.refuse_finished(spec.id);
    select count(*) as in_all, count(*) filter (where created_at > now() - interval '1 hour') as lately into noted
    from public.status_events where spec_id = spec.id and run_id is null and metadata ->> 'source' = 'agent';
    if noted.lately >= 20 or noted.in_all >= 100 then
        perform private.refuse(409, 'too-many-notes',
            'A specification takes 20 notes in an hour and 100 in all.', 'Keep to what others have to know.');
    end if;
    insert into public.status_events (id, spec_id, phase, message, metadata)
    values ((p_note ->> 'id')::uuid, spec.id, 'BUILD', case p_note ->> 'kind'
            when 'decision' then 'Decision: ' || (p_note ->> 'title') else 'Agent: ' || (p_note ->> 'text') end,
        jsonb_build_object('source', 'agent', 'kind', p_note -> 'kind', 'by', private.author_of(p_caller),
            'key_name', (select name from public.api_keys where id = private.caller_id(p_caller, 'key')))
        || case p_note ->> 'kind' when 'decision' then jsonb_build_object('decision',
            jsonb_build_object('title', p_note -> 'title', 'reason', p_note -> 'reason')) else '{}' end);
    return jsonb_build_object('event_id', p_note -> 'id');
end
$$;

create function public.record_note_v1(p_spec_id uuid, p_note jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
    perform private.require_role('authenticated');
    return private.note(jsonb_build_object('kind', 'user', 'id', auth.uid()), p_spec_id, p_note);
end
$$;
revoke all on function public.record_note_v1(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.record_note_v1(uuid, jsonb) to authenticated;

create function public.record_note_for_v1(p_caller jsonb, p_spec_id uuid, p_note jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    return private.note(p_caller, p_spec_id, p_note);
end
$$;
revoke all on function public.record_note_for_v1(jsonb, uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.record_note_for_v1(jsonb, uuid, jsonb) to aicd_functions;

-- The sprint that may wait for an answer: the one that is named, else the first that has not begun. Refused where there
-- is none, with the reason.
create function private.sprint_to_ask_about(p_spec_id uuid, p_label text) returns public.sprints
language plpgsql set search_path = '' as $$
declare
    sprint public.sprints;
begin
    select sprints.* into sprint from public.sprints
    where spec_id = p_spec_id and (p_label is null or label = p_label)
    order by state in ('NEEDS_APPROVAL', 'PLANNED') and not exists (
        select from public.runs where runs.sprint_id = sprints.id and result is null) desc, position
    limit 1;
    if sprint.id is null then
        perform private.refuse(404, 'sprint-not-found', 'This specification has no such sprint.',
            'get_plan has the labels of its sprints.');
    end if;
    if exists (select from public.runs where sprint_id = sprint.id and result is null) then
        perform private.refuse(409, 'run-open', format('A run of the sprint %s is under way, or about to begin.', sprint.label),
            'The agent in that run can ask; otherwise ask when it is over.');
    end if;
    if sprint.state not in ('NEEDS_APPROVAL', 'PLANNED') then
        perform private.refuse(409, 'sprint-not-waiting', format('The sprint %s is %s: an answer would not have it go on.',
            sprint.label, sprint.state), 'Ask about a sprint that is PLANNED or NEEDS_APPROVAL.');
    end if;
    return sprint;
end
$$;

-- p_asked: {id, questions: [{text, blocking}], sprint?: a label} → {sprint_id, label, state, questions: [{id, text,
-- blocking}]}. The sprint waits in NEEDS_INPUT, and the questions go out in the thread of the specification's mail. The
-- same id is asked once; while questions are open no others are, so that a reply is to one mail.
create function private.ask_about_spec(p_caller jsonb, p_spec_id uuid, p_asked jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    spec public.specs := private.require_writer(p_caller, p_spec_id);
    sprint public.sprints;
    asked jsonb;
begin
    select * into sprint from public.sprints
    where spec_id = spec.id and questions_json @> jsonb_build_array(jsonb_build_object('round_id', p_asked -> 'id'));
    if sprint.id is null then
        perform private.refuse_finished(spec.id);
        if spec.message_id is null then
            perform private.refuse(409, 'no-mail', 'This specification came by no mail: there is no thread to ask in.',
                format('Ask its author yourself: %s.', spec.created_by));
        end if;
        if exists (select from public.sprints where spec_id = spec.id and state = 'NEEDS_INPUT') then
            perform private.refuse(409, 'questions-open', 'The requester was asked, and has not answered yet.',
                'Wait for the answer: get_spec has the open questions.');
        end if;
        sprint := private.sprint_to_ask_about(spec.id, p_asked ->> 'sprint');
        select jsonb_agg(jsonb_build_object('id', 'Q' || jsonb_array_length(sprint.questions_json) + place,
            'text', question -> 'text', 'blocking', coalesce((question ->> 'blocking')::boolean, true), 'round_id', p_asked -> 'id',
            'asked_by', private.author_of(p_caller), 'asked_at', now(), 'was', sprint.state) order by place)
        into asked
        from jsonb_array_elements(case jsonb_typeof(p_asked -> 'questions') when 'array' then p_asked -> 'questions'
            else '[]' end) with ordinality as given (question, place);
        perform private.refuse_bad_questions(case when p_asked ->> 'id' is not null then asked end);
        update public.sprints set state = 'NEEDS_INPUT', questions_json = questions_json || asked
        where id = sprint.id returning * into sprint;
        perform private.record_event(spec.id, null, 'PLANNING', format('The requester is asked about %s.', sprint.label),
            jsonb_build_object('sprint', sprint.label, 'by', private.author_of(p_caller), 'questions', jsonb_array_length(asked)));
        perform private.audit('ask_requester', 'sprints', sprint.id::text, sprint.project_id, jsonb_build_object(
            'label', sprint.label, 'by', private.author_of(p_caller), 'questions', jsonb_array_length(asked)));
        perform private.enqueue('notify', 'needs_input:' || (p_asked ->> 'id'), jsonb_build_object('template', 'needs_input',
            'spec_id', spec.id, 'message_id', spec.message_id, 'sprint_id', sprint.id, 'round_id', p_asked -> 'id'),
            spec.correlation_id);
    end if;
    return jsonb_build_object('sprint_id', sprint.id, 'label', sprint.label, 'state', sprint.state, 'questions',
        private.questions_of_round(sprint, p_asked ->> 'id'));
end
$$;

-- {id, text, blocking, was} of one round that was asked from outside of a run.
create function private.questions_of_round(p_sprint public.sprints, p_round_id text) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object('id', asked -> 'id', 'text', asked -> 'text', 'blocking', asked -> 'blocking',
        'was', asked -> 'was') order by place), '[]')
    from jsonb_array_elements(p_sprint.questions_json) with ordinality as listed (asked, place)
    where asked ->> 'round_id' = p_round_id
$$;

create function public.ask_about_spec_v1(p_spec_id uuid, p_asked jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
    perform private.require_role('authenticated');
    return private.ask_about_spec(jsonb_build_object('kind', 'user', 'id', auth.uid()), p_spec_id, p_asked);
end
$$;
revoke all on function public.ask_about_spec_v1(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.ask_about_spec_v1(uuid, jsonb) to authenticated;

create function public.ask_about_spec_for_v1(p_caller jsonb, p_spec_id uuid, p_asked jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    return private.ask_about_spec(p_caller, p_spec_id, p_asked);
end
$$;
revoke all on function public.ask_about_spec_for_v1(jsonb, uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.ask_about_spec_for_v1(jsonb, uuid, jsonb) to aicd_functions;

revoke all on function private.require_writer(jsonb, uuid), private.refuse_finished(uuid), private.refuse_bad_note(jsonb),
    private.note(jsonb, uuid, jsonb), private.sprint_to_ask_about(uuid, text), private.ask_about_spec(jsonb, uuid, jsonb),
    private.questions_of_round(public.sprints, text) from public, anon, authenticated, service_role;

-- What is asked of each sprint and what its last verdict was, null where there is none to see: {id, repo, branch, title,
-- sprints: [{id, label, position, state, dod, verdict: {run_id, result, finished_at, branch, commit, criteria: [{id,
-- required, actual, status, reason}]} or null, open_run_id}]}.
create function public.show_dod_v1(p_spec_id uuid, p_project_ids uuid[] default null) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('id', specs.id, 'repo', specs.repo, 'branch', specs.branch, 'title', specs.title,
        'sprints', coalesce(jsonb_agg(jsonb_build_object('id', sprints.id, 'label', sprints.label,
            'position', sprints.position, 'state', sprints.state, 'dod', jsonb_strip_nulls(sprints.dod_json),
            'verdict', judged.verdict, 'open_run_id', (
                select runs.id from public.runs where runs.sprint_id = sprints.id and result is null))
            order by sprints.position) filter (where sprints.id is not null), '[]'))
    from public.specs
    left join public.sprints on sprints.spec_id = specs.id
    left join lateral (
        select jsonb_build_object('run_id', runs.id, 'result', runs.result, 'finished_at', runs.finished_at,
            'branch', coalesce(runs.branch, summary_json ->> 'branch'),
            'commit', coalesce(runs.commit_sha, summary_json ->> 'commit'), 'criteria', (
                select jsonb_agg(jsonb_build_object('id', criterion -> 'id', 'required', criterion -> 'required',
                    'actual', criterion -> 'actual', 'status', criterion -> 'status', 'reason', criterion -> 'reason')
                    order by place)
                from jsonb_array_elements(summary_json #> '{verdict,criteria}') with ordinality as listed (criterion, place)))
            as verdict
        from public.runs
        where runs.sprint_id = sprints.id and jsonb_typeof(summary_json #> '{verdict,criteria}') = 'array'
        order by attempt desc limit 1) as judged on true
    where specs.id = p_spec_id and (p_project_ids is null or specs.project_id = any (p_project_ids))
    group by specs.id
$$;
revoke all on function public.show_dod_v1(uuid, uuid[]) from public, anon, authenticated, service_role;
grant execute on function public.show_dod_v1(uuid, uuid[]) to authenticated;

create function public.show_dod_for_v1(p_caller jsonb, p_spec_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    return public.show_dod_v1(p_spec_id, array(select private.projects_of_caller(p_caller, 'specs:read')));
end
$$;
revoke all on function public.show_dod_for_v1(jsonb, uuid) from public, anon, authenticated, service_role;
grant execute on function public.show_dod_for_v1(jsonb, uuid) to aicd_functions;

-- Keeps an answer with the sprint that waits for it, and has that go on. The caller has looked at the answer.
create or replace function private.take_answer(p_sprint_id uuid, p_reply jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    sprint public.sprints;
begin
    select * into sprint from public.sprints where id = p_sprint_id;
    if sprint.id is null then
        perform private.refuse(404, 'sprint-not-found', 'There is no such sprint.', 'Check the sprint id.');
    end if;
    perform private.lock_spec(sprint.spec_id);
    perform private.refuse_expired(sprint.spec_id);
    select * into sprint from public.sprints where id = p_sprint_id for update;
    if sprint.answers_json @> jsonb_build_array(jsonb_build_object('id', p_reply ->> 'id')) then
        return;
    end if;
    if sprint.state <> 'NEEDS_INPUT' then
        perform private.refuse(409, 'sprint-not-waiting', format('This sprint is %s and waits for no answer.', sprint.state),
            'Only a sprint in NEEDS_INPUT is answered.');
    end if;
    -- Whoever was asked while the plan waited for approval has not approved it.
    update public.sprints
    set state = case questions_json -> -1 ->> 'was' when 'NEEDS_APPROVAL' then 'NEEDS_APPROVAL' else 'PLANNED' end,
        answers_json = answers_json || jsonb_build_array(jsonb_build_object('id', p_reply ->> 'id',
        'text', p_reply ->> 'text', 'answered_by', p_reply ->> 'answered_by', 'answered_at', now()))
    where id = sprint.id;
    perform private.record_event(sprint.spec_id, null, 'PLANNING', format('The questions about %s were answered.', sprint.label),
        jsonb_build_object('sprint', sprint.label));
    perform private.audit('answer_sprint', 'sprints', sprint.id::text, sprint.project_id,
        jsonb_build_object('label', sprint.label, 'answer_id', p_reply ->> 'id', 'answered_by', p_reply ->> 'answered_by'));
    perform private.open_ready_runs(sprint.spec_id);
end
$$;

-- `recipient` is null where no mail began the work. SECURITY DEFINER: as in mailboxes.sql.
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
            from public.sprints where id = coalesce(run.sprint_id, (work.payload ->> 'sprint_id')::uuid)),
        'run', private.describe_finished_run(run.id),
        'questions', coalesce(run.summary_json -> 'questions', (
            select private.questions_of_round(sprints, work.payload ->> 'round_id')
            from public.sprints where id = (work.payload ->> 'sprint_id')::uuid), '[]'), 'planning', private.describe_plan(spec),
        'artifacts', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'name', name,
            'content_type', content_type, 'size', size, 'storage_path', storage_path, 'store', store,
            'encoding', encoding) order by created_at, id), '[]')
            from public.artifacts where run_id = run.id));
end
$$;
