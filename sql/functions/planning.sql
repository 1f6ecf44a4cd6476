-- What the runner's planner has to say: a plan, or questions. SECURITY DEFINER: as in mailboxes.sql.

-- Whether a plan waits for a maintainer: the specification asks for it, or its project, or any row of the allow-list
-- that lets its sender in.
create function private.needs_approval(p_spec public.specs) returns boolean
language sql stable set search_path = '' as $$
    select p_spec.needs_approval
        or exists (select from public.projects where id = p_spec.project_id and policy ->> 'approval' = 'required')
        or exists (select from private.senders_of(p_spec.created_by) as sender
            where sender.needs_approval and coalesce(sender.project_id, p_spec.project_id) = p_spec.project_id)
$$;

-- A label becomes part of a branch's name: the rule of controlplane/specfile/names.py, whose expression looks behind and
-- ahead, which Postgres' cannot.
create function private.is_label(p_text text) returns boolean
language sql immutable parallel safe set search_path = '' as $$
    select coalesce(p_text ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' and p_text !~ '\.\.|\.lock$|\.$', false)
$$;
revoke all on function private.is_label(text) from public, anon, authenticated, service_role;

create function private.refuse_bad_plan(p_plan jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    sprints jsonb := p_plan -> 'sprints';
begin
    perform private.refuse_large(p_plan, 'The plan', 1048576);
    if jsonb_typeof(sprints) is distinct from 'array' or jsonb_array_length(sprints) not between 1 and 100
        or exists (
            select from jsonb_array_elements(case jsonb_typeof(sprints) when 'array' then sprints else '[]' end) as sprint
            where jsonb_typeof(sprint -> 'label') is distinct from 'string'
                or not private.is_label(sprint ->> 'label')
                or jsonb_typeof(coalesce(sprint -> 'dod', '{}')) <> 'object')
        or (select count(distinct sprint ->> 'label') from jsonb_array_elements(sprints) as sprint)
            <> jsonb_array_length(sprints) then
        perform private.refuse(400, 'bad-plan',
            'A plan has 1 to 100 sprints, each with a label of its own (at most 64 letters, digits, ., _ and -) and a Definition of Done.',
            'Hand over {sprints: [Sprint as JSON], confidence, estimate, questions, model, prompt_sha256}.');
    end if;
    if jsonb_typeof(p_plan -> 'confidence') is distinct from 'number'
        or (p_plan ->> 'confidence')::numeric not between 0 and 1 then
        perform private.refuse(400, 'bad-plan', 'The confidence of a plan is a number from 0 to 1.', 'Hand it over.');
    end if;
end
$$;

-- The placeholder becomes the first planned sprint; the others are put behind it.
create function private.store_plan(p_run public.runs, p_plan jsonb, p_waits boolean) returns void
language plpgsql set search_path = '' as $$
declare
    start integer;
begin
    select position - 1 into start from public.sprints where id = p_run.sprint_id;
    update public.sprints
    set label = planned.label, depends_on = planned.depends_on, dod_json = coalesce(planned.sprint -> 'dod', '{}'),
        plan_json = planned.sprint
    from private.planned_sprints(jsonb_build_object('plan', p_plan)) as planned
    where id = p_run.sprint_id and planned.place = 1;
    insert into public.sprints (id, spec_id, label, position, dod_json, plan_json, state, depends_on)
    select private.derived_id('sprint:' || p_run.spec_id || ':' || start + place), p_run.spec_id, label, start + place,
        coalesce(sprint -> 'dod', '{}'), sprint,
        case when p_waits and cardinality(depends_on) = 0 then 'NEEDS_APPROVAL' else 'PLANNED' end, depends_on
    from private.planned_sprints(jsonb_build_object('plan', p_plan)) where place > 1;
    perform private.refuse_bad_dependencies(p_run.spec_id);
    update public.specs
    set planning_json = p_plan || jsonb_build_object('run_id', p_run.id, 'planned_at', now(),
        'outcome', case when p_waits then 'needs-approval' else 'planned' end)
    where id = p_run.spec_id;
end
$$;

-- p_plan: {sprints: [Sprint as JSON], confidence, estimate: {cost_usd, minutes}, questions, model, prompt_sha256}, of a
-- sprint that has no plan → {outcome, sprints: [{sprint_id, label, state}]}. planned: the same run goes on and builds
-- the first sprint, and those that wait for nothing get runs of their own. needs-approval: the run is set aside, what
-- depends on nothing waits for a maintainer, and the requester is told. Again: the same answer. Scope build.
create function public.record_plan_v1(p_run_id uuid, p_plan jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs;
    spec public.specs;
    waits boolean;
    -- Ours, whatever the plan says.
    given jsonb := p_plan - array['run_id', 'planned_at', 'outcome'];
begin
    perform private.lock_spec((select spec_id from public.runs where id = p_run_id));
    run := private.require_runner(p_run_id, 'build');
    perform private.refuse_bad_plan(given);
    select * into spec from public.specs where id = run.spec_id;
    if spec.planning_json ->> 'run_id' is distinct from run.id::text then
        run := private.require_running(p_run_id, 'build');
        if exists (select from public.sprints where id = run.sprint_id and plan_json is not null) then
            perform private.refuse(409, 'already-planned', 'This sprint has its plan.', 'Build it.');
        end if;
        waits := private.needs_approval(spec);
        perform private.store_plan(run, given, waits);
        if waits then
            perform private.set_aside(run, 'PLANNING', 'The plan waits for approval.', jsonb_build_object(
                'status', 'NEEDS_APPROVAL', 'estimate', given -> 'estimate', 'error',
                jsonb_build_object('code', 'needs-approval', 'message', 'The plan waits for a maintainer''s approval.')));
            update public.sprints set state = 'NEEDS_APPROVAL' where id = run.sprint_id;
            perform private.enqueue('notify', 'needs_approval:' || run.id, jsonb_build_object('template', 'needs_approval',
                'spec_id', run.spec_id, 'message_id', spec.message_id, 'run_id', run.id), run.correlation_id);
        else
            perform private.record_event(run.spec_id, run.id, 'PLANNING', 'The plan is made.', jsonb_build_object(
                'sprints', jsonb_array_length(given -> 'sprints'), 'confidence', given -> 'confidence'));
            perform private.open_ready_runs(run.spec_id);
        end if;
    elsif spec.planning_json - array['run_id', 'planned_at', 'outcome'] <> given then
        perform private.refuse(409, 'already-planned', 'This run has recorded another plan.', 'Build that one.');
    end if;
    return (
        select jsonb_build_object('outcome', planning_json -> 'outcome', 'sprints', (
            select jsonb_agg(jsonb_build_object('sprint_id', id, 'label', label, 'state', state) order by position)
            from public.sprints where spec_id = run.spec_id))
        from public.specs where id = run.spec_id);
end
$$;
revoke all on function public.record_plan_v1(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.record_plan_v1(uuid, jsonb) to aicd_runner;

create function private.refuse_bad_questions(p_questions jsonb) returns void
language plpgsql set search_path = '' as $$
begin
    perform private.refuse_large(p_questions, 'The questions', 65536);
    if jsonb_typeof(p_questions) is distinct from 'array' or jsonb_array_length(p_questions) not between 1 and 20
        or exists (
            select from jsonb_array_elements(case jsonb_typeof(p_questions) when 'array' then p_questions else '[]' end) as asked
            where coalesce(asked ->> 'id', '') !~ '\S' or coalesce(asked ->> 'text', '') !~ '\S') then
        perform private.refuse(400, 'bad-questions', '1 to 20 questions are asked at once, each with an id and a text.',
            'Hand over [{id, text, blocking}].');
    end if;
end
$$;

-- p_questions: [{id, text, blocking}] → {run_id, sprint_id}. The run ends (FAILED, with the status NEEDS_INPUT in its
-- summary), its sprint waits for the requester's answer, p_session waits with it for the run after that, and the
-- questions go out by mail. Again: the same answer. Scope build.
create function public.ask_requester_v1(p_run_id uuid, p_questions jsonb, p_session jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_runner(p_run_id, 'build');
begin
    perform private.refuse_bad_questions(p_questions);
    perform private.refuse_large(p_session, 'The session', 65536);
    if run.summary_json ->> 'status' is distinct from 'NEEDS_INPUT' then
        run := private.require_running(p_run_id, 'build');
        perform private.set_aside(run, 'PLANNING', 'The requester is asked.', jsonb_build_object('status', 'NEEDS_INPUT',
            'questions', p_questions, 'error',
            jsonb_build_object('code', 'needs-input', 'message', 'The requester''s answer is needed to go on.')));
        -- Questions of earlier rounds stay: their answers would make no sense without them.
        update public.sprints
        set state = 'NEEDS_INPUT', questions_json = questions_json || (
            select jsonb_agg(asked || jsonb_build_object('run_id', run.id, 'asked_at', now()))
            from jsonb_array_elements(p_questions) as asked)
        where id = run.sprint_id;
        if p_session <> '{}' then
            perform private.replace_session(run.sprint_id, p_session);
        end if;
        perform private.enqueue('notify', 'needs_input:' || run.id, jsonb_build_object('template', 'needs_input',
            'spec_id', run.spec_id, 'message_id', (select message_id from public.specs where id = run.spec_id),
            'run_id', run.id), run.correlation_id);
    end if;
    return jsonb_build_object('run_id', run.id, 'sprint_id', run.sprint_id);
end
$$;
revoke all on function public.ask_requester_v1(uuid, jsonb, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.ask_requester_v1(uuid, jsonb, jsonb) to aicd_runner;

revoke all on function private.needs_approval(public.specs), private.refuse_bad_plan(jsonb),
    private.store_plan(public.runs, jsonb, boolean), private.refuse_bad_questions(jsonb)
    from public, anon, authenticated, service_role;

-- Keeps what the planner's model answered (p_answer: {text, stop_reason, model, usage}) to a question with the SHA-256
-- p_key, for the next planning of the same sprint; the newest four are kept. Scope build.
create function public.keep_answer_v1(p_run_id uuid, p_key text, p_answer jsonb) returns void
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, 'build');
begin
    perform private.refuse_large(p_answer, 'The answer', 524288);
    if coalesce(p_key, '') !~ '^[0-9a-f]{64}$' or jsonb_typeof(p_answer) is distinct from 'object' then
        perform private.refuse(400, 'bad-answer', 'An answer is kept under the SHA-256 of its question.',
            'Hand over 64 digits and {text, stop_reason, model, usage}.');
    end if;
    if exists (select from public.sprints where id = run.sprint_id and plan_json is not null) then
        perform private.refuse(409, 'already-planned', 'This sprint has its plan.', 'Build it.');
    end if;
    insert into private.kept_answers (sprint_id, key, answer, created_at)
    values (run.sprint_id, p_key, p_answer, clock_timestamp())
    on conflict (sprint_id, key) do update set answer = excluded.answer, created_at = excluded.created_at;
    delete from private.kept_answers where sprint_id = run.sprint_id and key not in (
        select key from private.kept_answers where sprint_id = run.sprint_id order by created_at desc, key limit 4);
end
$$;
revoke all on function public.keep_answer_v1(uuid, text, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.keep_answer_v1(uuid, text, jsonb) to aicd_runner;

-- What an earlier planning of this run's sprint was answered to the same question; null where nothing is kept. Scope build.
create function public.find_answer_v1(p_run_id uuid, p_key text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, 'build');
begin
    return (select answer from private.kept_answers where sprint_id = run.sprint_id and key = p_key);
end
$$;
revoke all on function public.find_answer_v1(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.find_answer_v1(uuid, text) to aicd_runner;

-- No plan comes of what was answered: the next planning asks anew. Scope build.
create function public.forget_answers_v1(p_run_id uuid) returns void
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, 'build');
begin
    delete from private.kept_answers where sprint_id = run.sprint_id;
end
$$;
revoke all on function public.forget_answers_v1(uuid) from public, anon, authenticated, service_role;
grant execute on function public.forget_answers_v1(uuid) to aicd_runner;

-- Answers that have served their purpose. Those of a run that died wait for another try. SECURITY DEFINER: whoever moves
-- a sprint need not be able to read them.
create function private.drop_kept_answers() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    delete from private.kept_answers where sprint_id = new.id;
    return null;
end
$$;
revoke all on function private.drop_kept_answers() from public, anon, authenticated, service_role;
create trigger drop_kept_answers after update on public.sprints for each row
    when (new.plan_json is not null or new.state in ('NEEDS_INPUT', 'NEEDS_APPROVAL', 'DONE', 'CANCELLED'))
    execute function private.drop_kept_answers();
