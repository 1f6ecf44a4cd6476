-- Intake: one mail with its specifications becomes messages, specs, sprints, runs, events and work orders, or nothing.

-- What ingest_message_v1 answers for a recorded mail.
create function private.describe_intake(p_message_id uuid, p_outcome text, p_reason text) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('outcome', p_outcome, 'message_id', p_message_id, 'reason', p_reason,
        'specs', coalesce(jsonb_agg(jsonb_build_object('spec_id', specs.id, 'runs', (
            select coalesce(jsonb_agg(runs.id order by runs.created_at, runs.id), '[]')
            from public.runs where runs.spec_id = specs.id)) order by specs.created_at, specs.id), '[]'))
    from public.specs where specs.message_id = p_message_id
$$;

-- Whether a branch name fits one of the project's patterns, in which * stands for anything.
create function private.branch_fits(p_branch text, p_patterns jsonb) returns boolean
language sql immutable set search_path = '' as $$
    select exists (
        select from jsonb_array_elements_text(p_patterns) as pattern
        where p_branch like replace(replace(replace(replace(pattern, '\', '\\'), '_', '\_'), '%', '\%'), '*', '%'))
$$;

-- The branches that the allow-list lets this sender have work done on; null when one of his rows says nothing of them.
create function private.branches_of_sender(p_sender text, p_project_id uuid) returns text[]
language sql stable set search_path = '' as $$
    select case when bool_and(senders.branches is not null) then array_agg(distinct named) end
    from private.senders_of(p_sender) as senders left join unnest(senders.branches) as named on true
    where senders.project_id is null or senders.project_id = p_project_id
$$;
revoke all on function private.branches_of_sender(text, uuid) from public, anon, authenticated, service_role;

-- Why this sender may not have this specification built: {code, message}; null when he may.
-- A repository that we do not know and one that is not his get the same answer.
create function private.refusal_of(p_sender text, p_spec jsonb, p_specs_in_mail integer) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    target public.projects;
    most integer;
    already bigint;
    branches text[];
    branch text;
begin
    select * into target from public.projects where lower(repo) = lower(p_spec ->> 'repo');
    select max(daily_limit) into most from private.senders_of(p_sender)
    where target.id is not null and (project_id is null or project_id = target.id);
    if most is null then
        return jsonb_build_object('code', 'repository-not-allowed', 'message',
            format('You may not have anything built in the repository %s, or it is not set up here.', p_spec ->> 'repo'));
    end if;
    branch := coalesce(p_spec ->> 'branch', target.default_branch);
    branches := private.branches_of_sender(p_sender, target.id);
    if branches is not null and not private.branch_fits(branch, to_jsonb(branches)) then
        return jsonb_build_object('code', 'branch-not-allowed', 'message',
            format('You may not have work done on the branch %s of %s, but on: %s.', branch, target.repo,
                array_to_string(branches, ', ')));
    end if;
    if jsonb_typeof(target.policy -> 'branches') = 'array' and p_spec ->> 'branch' is not null
        and p_spec ->> 'branch' <> target.default_branch
        and not private.branch_fits(p_spec ->> 'branch', target.policy -> 'branches') then
        return jsonb_build_object('code', 'branch-not-allowed', 'message',
            format('The project %s does not accept work on the branch %s.', target.repo, p_spec ->> 'branch'));
    end if;
    select count(*) into already from public.specs
    where created_by = p_sender and created_at > now() - interval '1 day';
    most := least(most, (case when jsonb_typeof(target.policy -> 'daily_specs') = 'number'
        then target.policy ->> 'daily_specs' end)::numeric::integer);
    if already + p_specs_in_mail > most then
        return jsonb_build_object('code', 'daily-limit', 'message',
            format('Your limit of %s specifications in 24 hours is used up.', most));
    end if;
    return null;
end
$$;

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

-- The mail that answers a specification. Where its plan waits for approval it is that which is told: a receipt beside it
-- would say that the work has begun.
create function private.enqueue_receipt(p_spec public.specs, p_message_id uuid, p_key text) returns void
language plpgsql set search_path = '' as $$
declare
    template text := case when exists (
        select from public.sprints where spec_id = p_spec.id and state = 'NEEDS_APPROVAL')
        then 'needs_approval' else 'spec_received' end;
begin
    perform private.enqueue('notify', template || ':' || p_key, jsonb_build_object('template', template,
        'message_id', p_message_id, 'spec_id', p_spec.id), p_spec.correlation_id);
end
$$;
revoke all on function private.enqueue_receipt(public.specs, uuid, text) from public, anon, authenticated, service_role;

-- A specification, its sprints, the runs of those that depend on nothing, its first events and its receipt.
create function private.store_new_spec(p_message public.messages, p_spec jsonb) returns void
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
    perform private.enqueue_receipt(made, p_message.id, made.id::text);
end
$$;

create function private.require_specs(p_specs jsonb) returns void
language plpgsql set search_path = '' as $$
begin
    if jsonb_typeof(p_specs) is distinct from 'array' or jsonb_array_length(p_specs) not between 1 and 20 then
        perform private.refuse(400, 'bad-specs', 'A mail carries 1 to 20 specifications.',
            'Mail without one goes to record_message_v1.');
    end if;
    if exists (select from jsonb_array_elements(p_specs) as spec
               where spec ->> 'storage_path' is distinct from (spec ->> 'id') || '/source') then
        perform private.refuse(400, 'bad-storage-path', 'A specification is stored under SPEC_ID/source.',
            'Use the path that FunctionsStore.put_spec returns.');
    end if;
    perform private.refuse_large(p_specs, 'The specifications', 8388608);
end
$$;

-- SECURITY DEFINER: as in mailboxes.sql.
create function public.ingest_message_v1(p_message jsonb, p_specs jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    mail public.messages;
    mail_id uuid;
    refusals jsonb;
    first_code text;
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_message, 'The message', 262144);
    perform private.require_specs(p_specs);
    -- Takes the mailbox's lock: of twenty deliveries of one mail the first is judged, the others find it here.
    perform private.move_cursor((p_message ->> 'mailbox_id')::uuid, p_message ->> 'history_id');
    mail := private.known_message(p_message);
    if mail.id is not null then
        return private.describe_intake(mail.id, 'duplicate', mail.reason);
    end if;
    mail := private.accepted_twin(p_message);
    if mail.id is not null then
        perform private.note_message(p_message, 'IGNORED', 'duplicate', null);
        return private.describe_intake(mail.id, 'duplicate', mail.reason);
    end if;
    if not exists (select from private.senders_of(p_message ->> 'sender')) then
        mail_id := private.note_message(p_message, 'REFUSED', 'unknown-sender', null);
        return private.describe_intake(mail_id, 'unknown-sender', 'unknown-sender');
    end if;
    -- The daily limit is counted under the sender's own lock: he may write to two mailboxes at once.
    perform pg_advisory_xact_lock(hashtextextended('sender:' || lower(p_message ->> 'sender'), 0));
    select jsonb_agg(jsonb_build_object('path', spec ->> 'name', 'line', null, 'column', null, 'code', why ->> 'code',
        'message', why ->> 'message') order by place), (array_agg(why ->> 'code' order by place))[1]
    into refusals, first_code
    from jsonb_array_elements(p_specs) with ordinality as given (spec, place)
    cross join lateral private.refusal_of(lower(p_message ->> 'sender'), spec, jsonb_array_length(p_specs)) as why
    where why is not null;
    if refusals is not null then
        mail_id := private.note_message(p_message, 'INVALID', first_code,
            refusals || coalesce(p_message -> 'problems', '[]'));
        perform private.answer_invalid(mail_id);
        return private.describe_intake(mail_id, first_code, first_code);
    end if;
    -- How it was read: files and lines that were not, keys that nobody knows. The receipt tells it.
    mail_id := private.note_message(p_message, 'ACCEPTED', 'accepted', p_message -> 'problems');
    select * into mail from public.messages where id = mail_id;
    -- The same file attached twice has the same id, and is built once.
    perform private.store_spec(mail, spec)
    from (select distinct on (given ->> 'id') given as spec from jsonb_array_elements(p_specs) as given) as distinct_specs;
    return private.describe_intake(mail_id, 'accepted', 'accepted');
end
$$;
revoke all on function public.ingest_message_v1(jsonb, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.ingest_message_v1(jsonb, jsonb) to aicd_functions;
