-- A specification that brings its plan and waits for approval is answered by that plan, and not by a receipt that says
-- that the work has begun.

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
create or replace function private.store_new_spec(p_message public.messages, p_spec jsonb) returns void
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

-- A mail brings what came by another door before it: the specification is the mail's from now on, so that its sender has
-- his receipt and the reports, those of runs that have ended, too.
create or replace function private.join_mail(p_message public.messages, p_spec_id uuid) returns void
language plpgsql set search_path = '' as $$
declare
    spec public.specs;
begin
    perform private.lock_spec(p_spec_id);
    update public.specs set message_id = p_message.id where id = p_spec_id returning * into spec;
    spec.correlation_id := p_message.correlation_id;
    perform private.enqueue_receipt(spec, p_message.id, p_spec_id || ':' || p_message.id);
    perform private.enqueue('notify', 'report:' || runs.id || ':' || p_message.id, jsonb_build_object(
        'template', 'report', 'spec_id', p_spec_id, 'run_id', runs.id), p_message.correlation_id)
    from public.runs
    where spec_id = p_spec_id and result is not null and summary_json ->> 'status' is distinct from 'PAUSED'
        and summary_json #>> '{error,code}' is distinct from 'cancelled';
end
$$;

-- What a plan's mail shows: what record_plan_v1 kept, or the sprints that the specification brought.
create function private.describe_plan(p_spec public.specs) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(p_spec.planning_json, (
        select jsonb_build_object('sprints', jsonb_agg(plan_json order by position))
        from public.sprints where spec_id = p_spec.id and plan_json is not null having count(*) > 0))
$$;
revoke all on function private.describe_plan(public.specs) from public, anon, authenticated, service_role;

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
            from public.sprints where id = run.sprint_id),
        'run', private.describe_finished_run(run.id),
        'questions', coalesce(run.summary_json -> 'questions', '[]'), 'planning', private.describe_plan(spec),
        'artifacts', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'name', name,
            'content_type', content_type, 'size', size, 'storage_path', storage_path, 'store', store,
            'encoding', encoding) order by created_at, id), '[]')
            from public.artifacts where run_id = run.id));
end
$$;
