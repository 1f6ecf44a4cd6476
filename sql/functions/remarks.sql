-- What people's own agents say of a specification, and what they ask its requester. Each verb has a `_for` twin, as in
-- search.sql. SECURITY DEFINER: as in control.sql.

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

-- Nobody is asked more than ten times in 24 hours by agents, of however many specifications: whoever may ask may answer,
-- too, and could go on for ever.
create function private.refuse_many_questions(p_requester text) returns void
language plpgsql stable set search_path = '' as $$
begin
    if (select count(distinct asked ->> 'round_id')
        from public.specs join public.sprints on sprints.spec_id = specs.id
        cross join lateral jsonb_array_elements(sprints.questions_json) as asked
        where specs.created_by = p_requester and asked ->> 'round_id' is not null
            and (asked ->> 'asked_at')::timestamptz > now() - interval '1 day') >= 10 then
        perform private.refuse(409, 'too-many-questions', 'This requester was asked ten times in 24 hours.',
            'Decide, and say so with record_decision; or ask tomorrow.');
    end if;
end
$$;

-- p_asked: {id, questions: [{text, blocking}], sprint?: a label} → {sprint_id, label, state, questions: [{id, text,
-- blocking}]}. The sprint waits in NEEDS_INPUT, and the questions go out in the thread of the specification's mail. The
-- same id is asked once; while questions are open no others are, so that a reply is to one mail.
create function private.ask_about_spec(p_caller jsonb, p_spec_id uuid, p_asked jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    spec public.specs;
    sprint public.sprints;
    asked jsonb;
begin
    -- The requester's own lock, as ingest_message_v1 has it and before the specification's, as there: his day is counted.
    perform pg_advisory_xact_lock(hashtextextended('sender:' || created_by, 0)) from public.specs where id = p_spec_id;
    spec := private.require_writer(p_caller, p_spec_id);
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
        perform private.refuse_many_questions(spec.created_by);
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
    private.questions_of_round(public.sprints, text), private.refuse_many_questions(text) from public, anon, authenticated, service_role;
