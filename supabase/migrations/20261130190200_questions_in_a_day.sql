-- An agent that asked and answered by turns could send a requester mail for ever.

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

revoke all on function private.refuse_many_questions(text) from public, anon, authenticated, service_role;

-- p_asked: {id, questions: [{text, blocking}], sprint?: a label} → {sprint_id, label, state, questions: [{id, text,
-- blocking}]}. The sprint waits in NEEDS_INPUT, and the questions go out in the thread of the specification's mail. The
-- same id is asked once; while questions are open no others are, so that a reply is to one mail.
create or replace function private.ask_about_spec(p_caller jsonb, p_spec_id uuid, p_asked jsonb) returns jsonb
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
