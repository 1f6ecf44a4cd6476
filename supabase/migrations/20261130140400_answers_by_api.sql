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

-- What a sprint waits to be told: [{id, text, blocking, asked_at}], the last round that was asked; none where it does not wait.
create function private.open_questions(p_sprint public.sprints) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object('id', asked -> 'id', 'text', asked -> 'text',
        'blocking', coalesce(asked -> 'blocking', 'true'), 'asked_at', asked -> 'asked_at') order by place), '[]')
    from jsonb_array_elements(case p_sprint.state when 'NEEDS_INPUT' then p_sprint.questions_json else '[]' end)
        with ordinality as listed (asked, place)
    where asked -> 'asked_at' = p_sprint.questions_json -> -1 -> 'asked_at'
$$;
revoke all on function private.open_questions(public.sprints) from public, anon, authenticated, service_role;
-- The API's reads are executed as the member who asks.
grant execute on function private.open_questions(public.sprints) to authenticated;

-- A specification's page, null where there is none to see: what search_specs_v1 has of it, with `dod`, `questions`
-- and `open_questions` in each sprint, and its newest fifty runs [{id, sprint_id, attempt, ci_run_id, ci_url, created_at, started_at,
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
        'questions', coalesce(to_jsonb(sprints) -> 'questions_json', '[]'),
        'open_questions', private.open_questions(sprints)) order by position), '[]')
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
