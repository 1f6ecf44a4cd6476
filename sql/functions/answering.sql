-- Answers that come by API: for specifications that no mail brought, and for whoever answers there. SECURITY DEFINER: as
-- in mailboxes.sql.

-- p_reply: {id, text, sprint?: a label} → {id, repo, sprints: [{id, label, position, state, run_id: the open one}]}: every
-- sprint that waited for an answer, or the one that is named, goes on. By a caller who may have something built in the
-- project. The same id is one answer.
create function public.answer_spec_v1(p_caller jsonb, p_spec_id uuid, p_reply jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    spec public.specs;
    answered uuid[];
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_reply, 'The reply', 262144);
    spec := private.require_writer(p_caller, p_spec_id);
    if coalesce(p_reply ->> 'text', '') !~ '\S' or coalesce(p_reply ->> 'id', '') = '' then
        perform private.refuse(400, 'bad-answer', 'An answer has an id and a text.', 'Hand over both.');
    end if;
    if p_reply ->> 'sprint' is not null and not exists (
        select from public.sprints where spec_id = spec.id and label = p_reply ->> 'sprint') then
        perform private.refuse(404, 'sprint-not-found', 'This specification has no such sprint.',
            'GET /specs/{id} has the labels of its sprints.');
    end if;
    -- Said before: what waits by now waits for something else.
    answered := array(
        select id from public.sprints
        where spec_id = spec.id and answers_json @> jsonb_build_array(jsonb_build_object('id', p_reply -> 'id')));
    if answered = '{}' then
        answered := array(
            select id from public.sprints
            where spec_id = spec.id and state = 'NEEDS_INPUT' and label = coalesce(p_reply ->> 'sprint', label));
        if answered = '{}' then
            perform private.refuse(409, 'sprint-not-waiting', 'Nothing of this waits for an answer.',
                'GET /specs/{id} has the open questions of each sprint.');
        end if;
        perform private.take_answer(sprint_id, jsonb_build_object('id', p_reply -> 'id', 'text', p_reply -> 'text',
            'answered_by', private.author_of(p_caller)))
        from unnest(answered) as sprint_id;
    end if;
    return jsonb_build_object('id', spec.id, 'repo', spec.repo, 'sprints', (
        select jsonb_agg(jsonb_build_object('id', sprints.id, 'label', label, 'position', position, 'state', state,
            'run_id', (select runs.id from public.runs where runs.sprint_id = sprints.id and result is null))
            order by position)
        from public.sprints where sprints.id = any (answered)));
end
$$;
revoke all on function public.answer_spec_v1(jsonb, uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.answer_spec_v1(jsonb, uuid, jsonb) to aicd_functions;
