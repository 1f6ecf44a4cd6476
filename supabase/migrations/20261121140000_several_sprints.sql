-- Several sprints of a specification at once where they do not depend on each other, several runs of a sprint, pauses.

-- Labels of the sprints that must be DONE before this one is built. All of them stand before it.
alter table public.sprints add column depends_on text[] not null default '{}';
-- Until now each sprint came after the one before it.
update public.sprints set depends_on = array[earlier.label]
from public.sprints as earlier
where earlier.spec_id = sprints.spec_id and earlier.position = (
    select max(nearest.position) from public.sprints as nearest
    where nearest.spec_id = sprints.spec_id and nearest.position < sprints.position);
alter table public.sprints
    -- Of a PAUSED sprint: when wake_sprints_v1 has it go on.
    add column resume_at timestamptz,
    -- What a paused run left for the next one to go on from: the agent's session, branch, commit.
    add column session_json jsonb check (jsonb_typeof(session_json) = 'object'),
    -- What the requester answered: [{id, text, answered_by, answered_at}].
    add column answers_json jsonb not null default '[]' check (jsonb_typeof(answers_json) = 'array'),
    add column approved_at timestamptz;
-- Serves wake_sprints_v1.
create index idx_sprints_resume_at on public.sprints (resume_at) where state = 'PAUSED';
-- Serves cancel_spec_v1 and expire_rows_v1: the work for one specification.
create index idx_outbox_spec_id on public.outbox ((payload ->> 'spec_id'));

drop trigger guard_identity on public.sprints;
create trigger guard_identity before update on public.sprints for each row
    execute function private.guard_identity('id', 'spec_id', 'project_id', 'label', 'position', 'depends_on');

-- The allowed moves of a sprint. A sprint begins as PLANNED, NEEDS_INPUT or NEEDS_APPROVAL: p_from is null then.
create or replace function private.sprint_may_move(p_from text, p_to text) returns boolean
language sql immutable parallel safe set search_path = '' as $$
    select p_to = any (case coalesce(p_from, '')
        when '' then array['PLANNED', 'NEEDS_INPUT', 'NEEDS_APPROVAL']
        -- FAILED without RUNNING: its run could not be dispatched.
        when 'PLANNED' then array['NEEDS_INPUT', 'NEEDS_APPROVAL', 'RUNNING', 'FAILED', 'CANCELLED']
        when 'NEEDS_INPUT' then array['PLANNED', 'NEEDS_APPROVAL', 'CANCELLED']
        when 'NEEDS_APPROVAL' then array['PLANNED', 'NEEDS_INPUT', 'CANCELLED']
        -- NEEDS_INPUT: the planner on the runner has questions.
        when 'RUNNING' then array['DONE', 'FAILED', 'PAUSED', 'NEEDS_INPUT', 'CANCELLED']
        -- It goes on with another run, and that one starts from PLANNED as every run does.
        when 'PAUSED' then array['PLANNED', 'CANCELLED']
        -- Somebody asks for another try.
        when 'FAILED' then array['PLANNED', 'CANCELLED']
        else array[]::text[]
    end)
$$;

-- Who: a member by his id, our own tokens by role and jti, the operator by his database role.
create or replace function private.audit(p_action text, p_table text, p_subject text, p_project_id uuid, p_details jsonb)
returns void
language sql set search_path = '' as $$
    insert into public.audit_log (actor, action, subject_table, subject_id, project_id, details)
    values (
        case private.claims() ->> 'role'
            when 'authenticated' then 'authenticated:' || coalesce(private.claims() ->> 'sub', '')
            else coalesce((private.claims() ->> 'role') || ':'
                || coalesce(private.claims() ->> 'jti', private.claims() ->> 'sub', ''), session_user)
        end,
        p_action, p_table, p_subject, p_project_id, coalesce(p_details, '{}'))
$$;

-- Whoever moves several sprints of a specification, or opens runs of it, takes this lock first: otherwise two sprints
-- that end at once would each not see the other's end, and what waits for both would never begin. The order of locks
-- is specification, outbox row, run, sprint. NO KEY UPDATE: rows that refer to the specification may still be added.
create function private.lock_spec(p_spec_id uuid) returns void
language plpgsql set search_path = '' as $$
begin
    perform from public.specs where id = p_spec_id for no key update;
end
$$;
revoke all on function private.lock_spec(uuid) from public, anon, authenticated, service_role;

-- Opens a run for every sprint that waits for nothing but its turn: PLANNED, and all that it depends on is DONE.
create function private.open_ready_runs(p_spec_id uuid) returns void
language plpgsql set search_path = '' as $$
begin
    perform private.lock_spec(p_spec_id);
    perform private.open_run(ready.id)
    from (
        select sprints.id from public.sprints
        where sprints.spec_id = p_spec_id and sprints.state = 'PLANNED'
            and not exists (
                select from public.sprints as needed
                where needed.spec_id = p_spec_id and needed.label = any (sprints.depends_on) and needed.state <> 'DONE')
        order by sprints.position) as ready;
end
$$;
revoke all on function private.open_ready_runs(uuid) from public, anon, authenticated, service_role;

-- The sprints of a specification in the order written. One that does not say what it depends on comes after the one
-- before it. Without a plan there is one sprint, which the runner's planner replaces.
create function private.planned_sprints(p_spec jsonb)
returns table (place bigint, label text, sprint jsonb, depends_on text[])
language sql immutable set search_path = '' as $$
    select written.place, left(written.sprint ->> 'label', 200), written.sprint, case
        when jsonb_typeof(written.sprint -> 'depends_on') = 'array'
            then array(select left(name, 200) from jsonb_array_elements_text(written.sprint -> 'depends_on') as name)
        else array_remove(array[left(lag(written.sprint ->> 'label') over (order by written.place), 200)], null)
    end
    from jsonb_array_elements(case
        when jsonb_typeof(p_spec #> '{plan,sprints}') = 'array' then p_spec #> '{plan,sprints}'
        else '[{"label": "planning", "unplanned": true}]' end) with ordinality as written (sprint, place)
$$;
revoke all on function private.planned_sprints(jsonb) from public, anon, authenticated, service_role;

-- A sprint that waited for itself, or for one that is not there, would never be built.
create function private.refuse_bad_dependencies(p_spec_id uuid) returns void
language plpgsql set search_path = '' as $$
declare
    wrong record;
begin
    select sprints.label, needed.label as missing into wrong
    from public.sprints cross join unnest(sprints.depends_on) as needed (label)
    where sprints.spec_id = p_spec_id and not exists (
        select from public.sprints as earlier
        where earlier.spec_id = p_spec_id and earlier.label = needed.label and earlier.position < sprints.position)
    limit 1;
    if found then
        perform private.refuse(400, 'bad-dependency',
            format('The sprint %s depends on %s, which does not stand before it.', wrong.label, wrong.missing),
            'Write the sprints in an order in which they can be built.');
    end if;
end
$$;
revoke all on function private.refuse_bad_dependencies(uuid) from public, anon, authenticated, service_role;

-- A specification, its sprints, the runs of those that depend on nothing, its first events and its receipt.
create or replace function private.store_spec(p_message public.messages, p_spec jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    made public.specs;
    first_sprint public.sprints;
    waits boolean;
begin
    insert into public.specs (id, message_id, repo, branch, storage_path, sha, size, name, title, format,
        correlation_id, created_by)
    select given.id, p_message.id, projects.repo, given.branch, given.storage_path, given.sha, given.size,
        coalesce(left(given.name, 1000), ''), coalesce(left(given.title, 1000), ''), coalesce(given.format, 'yaml'),
        p_message.correlation_id, p_message.sender
    from jsonb_to_record(p_spec) as given (id uuid, name text, repo text, branch text, title text, format text,
        storage_path text, sha text, size bigint)
    join public.projects on lower(projects.repo) = lower(given.repo)
    returning * into made;
    select coalesce((p_spec ->> 'needs_approval')::boolean, false) or coalesce(policy ->> 'approval' = 'required', false)
    into waits from public.projects where id = made.project_id;
    -- Where approval is asked for, nothing begins without it: every sprint that depends on nothing waits.
    insert into public.sprints (id, spec_id, label, position, dod_json, plan_json, state, depends_on)
    select private.derived_id('sprint:' || made.id || ':' || place), made.id, label, place,
        coalesce(sprint -> 'dod', '{}'), case when sprint ? 'unplanned' then null else sprint end,
        case when waits and cardinality(depends_on) = 0 then 'NEEDS_APPROVAL' else 'PLANNED' end, depends_on
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

-- Where a sprint continues: branch and commit of the nearest sprint that was built of those it depends on, directly or
-- not. null where there is none: it begins at the project's branch.
create or replace function private.previous_work(p_sprint_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    with recursive needed as (
        select earlier.* from public.sprints as mine
        join public.sprints as earlier on earlier.spec_id = mine.spec_id and earlier.label = any (mine.depends_on)
        where mine.id = p_sprint_id
        union
        select earlier.* from needed
        join public.sprints as earlier on earlier.spec_id = needed.spec_id and earlier.label = any (needed.depends_on)
    )
    select jsonb_build_object('branch', runs.branch, 'commit', runs.commit_sha)
    from needed
    join public.runs on runs.sprint_id = needed.id and runs.result = 'PASSED' and runs.commit_sha is not null
    order by needed.position desc, runs.attempt desc
    limit 1
$$;

-- The sprints that one depends on directly, with the work of each: a sprint that joins several has to merge them.
create function private.describe_needed(p_sprint_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object('label', earlier.label, 'branch', runs.branch,
        'commit', runs.commit_sha) order by earlier.position), '[]')
    from public.sprints as mine
    join public.sprints as earlier on earlier.spec_id = mine.spec_id and earlier.label = any (mine.depends_on)
    left join public.runs on runs.sprint_id = earlier.id and runs.result = 'PASSED'
    where mine.id = p_sprint_id
$$;
revoke all on function private.describe_needed(uuid) from public, anon, authenticated, service_role;

create or replace function private.describe_start(p_run public.runs, p_outcome text) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('outcome', p_outcome, 'run_id', p_run.id, 'sprint_id', p_run.sprint_id,
        'spec_id', p_run.spec_id, 'correlation_id', p_run.correlation_id, 'attempt', p_run.attempt,
        'ci_run_id', p_run.ci_run_id, 'result', p_run.result,
        'sprint', jsonb_build_object('label', sprints.label, 'position', sprints.position, 'state', sprints.state,
            'dod_json', sprints.dod_json, 'plan_json', sprints.plan_json, 'session', sprints.session_json,
            'answers', sprints.answers_json, 'depends_on', private.describe_needed(sprints.id)),
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

-- Lets exactly one CI run in: the bound one, or the first to come. A later attempt of the same CI run takes over, for
-- GitHub begins it only when the earlier one is over.
create or replace function public.start_run_v1(p_run_id uuid, p_ci_run_id text, p_ci_attempt integer) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_runner(p_run_id, 'build');
    sprint_state text;
begin
    if coalesce(p_ci_run_id, '') = '' or coalesce(p_ci_attempt, 0) < 1 then
        perform private.refuse(400, 'bad-ci-run', 'A run is started by a CI run and its attempt, counted from 1.',
            'Hand over GITHUB_RUN_ID and GITHUB_RUN_ATTEMPT.');
    end if;
    select state into sprint_state from public.sprints where id = run.sprint_id for update;
    if sprint_state = 'CANCELLED' then
        return private.describe_start(run, 'cancelled');
    end if;
    if run.result is not null then
        return private.describe_start(run, 'finished');
    end if;
    if coalesce(run.ci_run_id, p_ci_run_id) <> p_ci_run_id or coalesce(run.ci_attempt, 0) > p_ci_attempt then
        return private.describe_start(run, 'already-running');
    end if;
    if sprint_state <> 'RUNNING' then
        update public.sprints set state = 'RUNNING' where id = run.sprint_id;
    end if;
    update public.runs
    set ci_run_id = p_ci_run_id, ci_attempt = p_ci_attempt, bound_at = coalesce(bound_at, now()),
        started_at = coalesce(started_at, now()), last_seen_at = now()
    where id = run.id
    returning * into run;
    return private.describe_start(run, 'started');
end
$$;

-- One run has one result: the same again is the same answer, another one is refused. A run that never started may
-- only fail.
create or replace function public.finish_run_v1(p_run_id uuid, p_result text, p_summary jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs;
    sprint_state text;
    next_run_id uuid;
begin
    -- Before the run's lock, as everywhere: see lock_spec.
    perform private.lock_spec((select spec_id from public.runs where id = p_run_id));
    run := private.require_runner(p_run_id, 'publish');
    perform private.refuse_large(p_summary, 'The summary', 1048576);
    if p_result is null or p_result not in ('PASSED', 'FAILED') then
        perform private.refuse(400, 'bad-result', 'A run ends as PASSED or FAILED.', 'Hand over one of the two.');
    end if;
    if run.result is null then
        if run.started_at is null and p_result = 'PASSED' then
            perform private.refuse(409, 'run-not-started', 'A run that was not started cannot have passed.',
                'Call start_run_v1 first.');
        end if;
        update public.runs
        set result = p_result, finished_at = now(), last_seen_at = now(), summary_json = p_summary
        where id = run.id returning * into run;
        -- A sprint that was cancelled meanwhile stays cancelled; its run keeps its result.
        update public.sprints set state = case p_result when 'PASSED' then 'DONE' else 'FAILED' end
        where id = run.sprint_id and state <> 'CANCELLED' returning state into sprint_state;
        perform private.record_event(run.spec_id, run.id, case p_result when 'PASSED' then 'TESTS_PASSED' else 'FAILED' end,
            format('The run has ended: %s.', p_result), jsonb_build_object('result', p_result))
        where p_result = 'FAILED' or not exists (
            select from public.status_events where run_id = run.id and phase = 'TESTS_PASSED');
        perform private.enqueue('notify', 'report:' || run.id,
            jsonb_build_object('template', 'report', 'spec_id', run.spec_id, 'run_id', run.id), run.correlation_id);
        if sprint_state = 'DONE' then
            perform private.open_ready_runs(run.spec_id);
        end if;
    elsif run.result <> p_result then
        perform private.refuse(409, 'run-finished', format('This run has ended as %s.', run.result),
            'Nothing can be added to it; ask for another run.');
    end if;
    -- Asked for anew, so that the second call gives the answer of the first: what this end opened was made with it, in
    -- one transaction, and so bears the same time.
    select opened.id into next_run_id
    from public.sprints as mine
    join public.sprints as later on later.spec_id = mine.spec_id and mine.label = any (later.depends_on)
    join public.runs as opened on opened.sprint_id = later.id and opened.created_at = run.finished_at
    where mine.id = run.sprint_id and run.result = 'PASSED'
    order by later.position limit 1;
    return jsonb_build_object('result', p_result, 'next_run_id', next_run_id);
end
$$;

drop function private.open_next_run(uuid);
