-- The runner's planner: it hands over a plan, which may wait for approval, or asks the requester, whose reply comes by mail.

alter table public.specs
    add column needs_approval boolean not null default false,
    add column planning_json jsonb check (jsonb_typeof(planning_json) = 'object');
alter table public.sprints
    add column questions_json jsonb not null default '[]' check (jsonb_typeof(questions_json) = 'array');
alter table public.senders add column needs_approval boolean not null default false;
-- Serves ingest_reply_v1: the few that wait for an answer.
create index idx_sprints_asked on public.sprints (spec_id) where state = 'NEEDS_INPUT';

-- The allowed moves of a sprint. A sprint begins as PLANNED, NEEDS_INPUT or NEEDS_APPROVAL: p_from is null then.
create or replace function private.sprint_may_move(p_from text, p_to text) returns boolean
language sql immutable parallel safe set search_path = '' as $$
    select p_to = any (case coalesce(p_from, '')
        when '' then array['PLANNED', 'NEEDS_INPUT', 'NEEDS_APPROVAL']
        -- FAILED without RUNNING: its run could not be dispatched.
        when 'PLANNED' then array['NEEDS_INPUT', 'NEEDS_APPROVAL', 'RUNNING', 'FAILED', 'CANCELLED']
        when 'NEEDS_INPUT' then array['PLANNED', 'NEEDS_APPROVAL', 'CANCELLED']
        when 'NEEDS_APPROVAL' then array['PLANNED', 'NEEDS_INPUT', 'CANCELLED']
        -- NEEDS_INPUT: the planner on the runner has questions. NEEDS_APPROVAL: it has a plan.
        when 'RUNNING' then array['DONE', 'FAILED', 'PAUSED', 'NEEDS_INPUT', 'NEEDS_APPROVAL', 'CANCELLED']
        -- It goes on with another run, and that one starts from PLANNED as every run does.
        when 'PAUSED' then array['PLANNED', 'CANCELLED']
        -- Somebody asks for another try.
        when 'FAILED' then array['PLANNED', 'CANCELLED']
        else array[]::text[]
    end)
$$;


drop trigger guard_identity on public.sprints;
create trigger guard_identity before update on public.sprints for each row
    execute function private.guard_identity('id', 'spec_id', 'project_id', 'position');
-- Until it is planned, a sprint is a placeholder.
create trigger guard_plan before update on public.sprints for each row when (old.plan_json is not null)
    execute function private.guard_identity('label', 'depends_on', 'plan_json');

-- Lets an address, or a domain as *@example.com, target one repository, or every one when p_repo is null.
-- p_options: {daily_limit?, needs_approval?}; what is not said stays as it is.
create or replace function public.allow_sender_v1(p_pattern text, p_repo text, p_options jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    target uuid;
    made public.senders;
begin
    select id into target from public.projects where lower(repo) = lower(p_repo);
    if p_repo is not null and target is null then
        perform private.refuse(404, 'project-not-found', format('There is no project for the repository %s.', p_repo),
            'Create it first: create_project_v1.');
    end if;
    insert into public.senders as known (pattern, project_id, daily_limit, needs_approval)
    values (lower(p_pattern), target, coalesce((p_options ->> 'daily_limit')::integer, 100),
        coalesce((p_options ->> 'needs_approval')::boolean, false))
    on conflict (pattern, project_id) do update
    set daily_limit = coalesce((p_options ->> 'daily_limit')::integer, known.daily_limit),
        needs_approval = coalesce((p_options ->> 'needs_approval')::boolean, known.needs_approval)
    returning * into made;
    perform private.audit('allow_sender', 'senders', made.id::text, target, jsonb_build_object('pattern', made.pattern));
    return jsonb_build_object('sender_id', made.id, 'pattern', made.pattern, 'project_id', made.project_id,
        'daily_limit', made.daily_limit, 'needs_approval', made.needs_approval);
end
$$;

create or replace function private.describe_start(p_run public.runs, p_outcome text) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('outcome', p_outcome, 'run_id', p_run.id, 'sprint_id', p_run.sprint_id,
        'spec_id', p_run.spec_id, 'correlation_id', p_run.correlation_id, 'attempt', p_run.attempt,
        'ci_run_id', p_run.ci_run_id, 'result', p_run.result,
        'sprint', jsonb_build_object('label', sprints.label, 'position', sprints.position, 'state', sprints.state,
            'dod_json', sprints.dod_json, 'plan_json', sprints.plan_json, 'session', sprints.session_json,
            'questions', sprints.questions_json, 'answers', sprints.answers_json, 'depends_on', private.describe_needed(sprints.id)),
        'spec', jsonb_build_object('storage_path', specs.storage_path, 'sha', specs.sha, 'repo', specs.repo,
            'branch', specs.branch, 'title', specs.title, 'name', specs.name, 'format', specs.format,
            'created_by', specs.created_by),
        'project', jsonb_build_object('id', projects.id, 'repo', projects.repo,
            'default_branch', projects.default_branch, 'policy', projects.policy),
        'previous', private.previous_work(sprints.id))
    from public.sprints
    join public.specs on specs.id = sprints.spec_id
    join public.projects on projects.id = sprints.project_id
    where sprints.id = p_run.sprint_id
$$;

-- Keeps an answer with the sprint that waits for it, and has that go on. The caller has looked at the answer.
create function private.take_answer(p_sprint_id uuid, p_reply jsonb) returns void
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
    update public.sprints
    set state = 'PLANNED', answers_json = answers_json || jsonb_build_array(jsonb_build_object('id', p_reply ->> 'id',
        'text', p_reply ->> 'text', 'answered_by', p_reply ->> 'answered_by', 'answered_at', now()))
    where id = sprint.id;
    perform private.record_event(sprint.spec_id, null, 'PLANNING', format('The questions about %s were answered.', sprint.label),
        jsonb_build_object('sprint', sprint.label));
    perform private.audit('answer_sprint', 'sprints', sprint.id::text, sprint.project_id,
        jsonb_build_object('label', sprint.label, 'answer_id', p_reply ->> 'id', 'answered_by', p_reply ->> 'answered_by'));
    perform private.open_ready_runs(sprint.spec_id);
end
$$;

-- The requester's reply: {id, text, answered_by}. It is kept with the sprint, which goes on. The same id again is the
-- same answer. Mail comes through ingest_reply_v1; this is for what came another way, and for the operator.
create or replace function public.answer_sprint_v1(p_sprint_id uuid, p_reply jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
    if not private.is_operator() then
        perform private.require_role('aicd_functions');
    end if;
    perform private.refuse_large(p_reply, 'The reply', 262144);
    if coalesce(p_reply ->> 'text', '') !~ '\S' or coalesce(p_reply ->> 'id', '') = '' then
        perform private.refuse(400, 'bad-answer', 'An answer has an id and a text.', 'Hand over both.');
    end if;
    perform private.take_answer(p_sprint_id, p_reply);
    return private.describe_sprint(p_sprint_id);
end
$$;

revoke all on function private.take_answer(uuid, jsonb) from public, anon, authenticated, service_role;

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
                or length(sprint ->> 'label') not between 1 and 200
                or jsonb_typeof(coalesce(sprint -> 'dod', '{}')) <> 'object')
        or (select count(distinct sprint ->> 'label') from jsonb_array_elements(sprints) as sprint)
            <> jsonb_array_length(sprints) then
        perform private.refuse(400, 'bad-plan',
            'A plan has 1 to 100 sprints, each with a label of its own and a Definition of Done.',
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
        set state = 'NEEDS_INPUT', session_json = p_session, questions_json = questions_json || (
            select jsonb_agg(asked || jsonb_build_object('run_id', run.id, 'asked_at', now()))
            from jsonb_array_elements(p_questions) as asked)
        where id = run.sprint_id;
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


-- A specification, its sprints, the runs of those that depend on nothing, its first events and its receipt.
create or replace function private.store_spec(p_message public.messages, p_spec jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    made public.specs;
    first_sprint public.sprints;
    waits boolean;
begin
    insert into public.specs (id, message_id, repo, branch, storage_path, sha, size, name, title, format,
        correlation_id, created_by, needs_approval)
    select given.id, p_message.id, projects.repo, given.branch, given.storage_path, given.sha, given.size,
        coalesce(left(given.name, 1000), ''), coalesce(left(given.title, 1000), ''), coalesce(given.format, 'yaml'),
        p_message.correlation_id, p_message.sender, coalesce((p_spec ->> 'needs_approval')::boolean, false)
    from jsonb_to_record(p_spec) as given (id uuid, name text, repo text, branch text, title text, format text,
        storage_path text, sha text, size bigint)
    join public.projects on lower(projects.repo) = lower(given.repo)
    returning * into made;
    waits := private.needs_approval(made);
    -- Where approval is asked for, nothing is built without it: every sprint that depends on nothing waits. What has no
    -- plan yet is planned first, for it is the plan that is approved (record_plan_v1).
    insert into public.sprints (id, spec_id, label, position, dod_json, plan_json, state, depends_on)
    select private.derived_id('sprint:' || made.id || ':' || place), made.id, label, place,
        coalesce(sprint -> 'dod', '{}'), case when sprint ? 'unplanned' then null else sprint end,
        case when waits and cardinality(depends_on) = 0 and not sprint ? 'unplanned' then 'NEEDS_APPROVAL' else 'PLANNED' end, depends_on
    from private.planned_sprints(p_spec);
    perform private.refuse_bad_dependencies(made.id);
    select * into first_sprint from public.sprints where spec_id = made.id order by position limit 1;
    perform private.record_event(made.id, null, 'SPEC_RECEIVED', 'The specification was received.',
        jsonb_build_object('sha', made.sha, 'sender', made.created_by));
    perform private.record_event(made.id, null, 'PLANNING', case
        when first_sprint.state = 'NEEDS_APPROVAL' then 'The plan waits for approval.'
        when first_sprint.plan_json is null then 'The specification waits to be planned.'
        else 'The specification brings its plan.' end,
        jsonb_build_object('sprints', (select count(*) from public.sprints where spec_id = made.id)));
    perform private.open_ready_runs(made.id);
    perform private.enqueue('notify', 'spec_received:' || made.id, jsonb_build_object('template', 'spec_received',
        'message_id', p_message.id, 'spec_id', made.id), made.correlation_id);
end
$$;


-- Mail that answers our questions. SECURITY DEFINER: as in mailboxes.sql.

-- The sprints that wait for an answer in this mail's thread, and who was asked. The thread is Gmail's, or the mail
-- refers to the one that began it: a reply from elsewhere may have lost the one, and keeps the other.
create function private.asked_in_thread(p_message jsonb) returns table (sprint_id uuid, requester text)
language sql stable set search_path = '' as $$
    select sprints.id, specs.created_by
    from public.sprints
    join public.specs on specs.id = sprints.spec_id
    join public.messages as began on began.id = specs.message_id
    where sprints.state = 'NEEDS_INPUT' and began.mailbox_id = (p_message ->> 'mailbox_id')::uuid
        and (began.gmail_thread_id <> '' and began.gmail_thread_id = p_message ->> 'gmail_thread_id'
            or began.rfc_message_id <> ''
                and position(began.rfc_message_id in coalesce(p_message ->> 'references', '')) > 0)
        and not exists (select from private.expired_objects where bucket = 'specs' and path = specs.storage_path)
    order by specs.created_at, specs.id, sprints.position
$$;

-- What ingest_reply_v1 answers: with the sprints that this mail, or the one it repeats, has answered.
create function private.describe_reply(p_outcome text, p_message_id uuid, p_answered uuid) returns jsonb
language sql stable set search_path = '' as $$
    with answered as (
        select sprints.id, sprints.position, specs.created_at
        from public.messages
        join public.specs on specs.created_by = messages.sender
        join public.sprints on sprints.spec_id = specs.id
            and answers_json @> jsonb_build_array(jsonb_build_object('id', messages.id))
        where messages.id = p_answered)
    select jsonb_build_object('outcome', p_outcome, 'message_id', p_message_id,
        'sprint_id', described -> 0 -> 'sprint_id', 'run_id', described -> 0 -> 'run_id', 'sprints', described)
    from (
        select coalesce(jsonb_agg(private.describe_sprint(id) order by created_at, id, position), '[]') as described
        from answered) as found
$$;

-- A mail without a specification that may be the reply to our questions → {outcome: answered, no-question, duplicate or
-- unknown-sender, message_id, sprint_id, run_id, sprints}. answered: every sprint of the sender's that waits in this
-- thread goes on, and the mail is recorded, in one transaction. no-question: nothing is recorded, and the cursor stays:
-- the mail is something else. unknown-sender: somebody else was asked; recorded, and one of the allow-list is told.
create function public.ingest_reply_v1(p_message jsonb, p_text text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    mail public.messages;
    mail_id uuid;
    waiting uuid[];
    is_asked boolean;
    is_known boolean;
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_message, 'The message', 262144);
    perform private.refuse_large(to_jsonb(p_text), 'The reply', 262144);
    -- The mailbox's lock, so that deliveries of the same mail follow each other; the cursor moves at the end.
    perform private.move_cursor((p_message ->> 'mailbox_id')::uuid, null);
    mail := private.known_message(p_message);
    if mail.id is not null then
        perform private.move_cursor((p_message ->> 'mailbox_id')::uuid, p_message ->> 'history_id');
        return private.describe_reply('duplicate', mail.id, coalesce((private.accepted_twin(p_message)).id, mail.id));
    end if;
    mail := private.accepted_twin(p_message);
    if mail.reason = 'answer' then
        perform private.move_cursor((p_message ->> 'mailbox_id')::uuid, p_message ->> 'history_id');
        mail_id := private.note_message(p_message, 'IGNORED', 'duplicate', null);
        return private.describe_reply('duplicate', mail_id, mail.id);
    end if;
    select count(*) > 0, array_agg(sprint_id) filter (where requester = lower(p_message ->> 'sender'))
    into is_asked, waiting from private.asked_in_thread(p_message);
    if not is_asked or coalesce(p_text, '') !~ '\S' then
        return private.describe_reply('no-question', null, null);
    end if;
    perform private.move_cursor((p_message ->> 'mailbox_id')::uuid, p_message ->> 'history_id');
    is_known := exists (select from private.senders_of(p_message ->> 'sender'));
    if not is_known then
        return private.describe_reply('unknown-sender',
            private.note_message(p_message, 'REFUSED', 'unknown-sender', null), null);
    end if;
    if waiting is null then
        mail_id := private.note_message(p_message, 'INVALID', 'not-the-requester', '[{"code": "not-the-requester",
            "message": "The questions in this thread were put to somebody else; only that person can answer them."}]');
        perform private.answer_invalid(mail_id);
        return private.describe_reply('unknown-sender', mail_id, null);
    end if;
    mail_id := private.note_message(p_message, 'ACCEPTED', 'answer', null);
    perform private.take_answer(sprint_id, jsonb_build_object('id', mail_id, 'text', p_text,
        'answered_by', lower(p_message ->> 'sender')))
    from unnest(waiting) as sprint_id;
    return private.describe_reply('answered', mail_id, mail_id);
end
$$;
revoke all on function public.ingest_reply_v1(jsonb, text) from public, anon, authenticated, service_role;
grant execute on function public.ingest_reply_v1(jsonb, text) to aicd_functions;

revoke all on function private.asked_in_thread(jsonb), private.describe_reply(text, uuid, uuid)
    from public, anon, authenticated, service_role;

