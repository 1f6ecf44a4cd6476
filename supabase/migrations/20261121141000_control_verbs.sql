-- Who may decide, and not only read: maintainers of a project, owners and admins of its organisation, the operator.

-- The projects that the member may decide on. SECURITY DEFINER: the policies on the tables read here are written with it.
create function private.my_maintained_project_ids() returns setof uuid
language sql stable security definer set search_path = '' as $$
    select project_id from public.project_members
    where user_id = (select auth.uid()) and role = 'maintainer' and private.token_is_live()
    union
    select projects.id
    from public.organisation_members
    join public.projects on projects.organisation_id = organisation_members.organisation_id
    where organisation_members.user_id = (select auth.uid())
        and organisation_members.role in ('owner', 'admin') and private.token_is_live()
$$;

-- SECURITY DEFINER: as above.
create function private.my_administered_organisation_ids() returns setof uuid
language sql stable security definer set search_path = '' as $$
    select organisation_id from public.organisation_members
    where user_id = (select auth.uid()) and role in ('owner', 'admin') and private.token_is_live()
$$;

-- The owner over a direct connection, who needs no token. The API logs in as authenticator, so that nobody who comes
-- through it, with or without claims, is the operator.
create function private.is_operator() returns boolean
language sql stable set search_path = '' as $$
    select session_user = current_user and private.claims() = '{}'::jsonb
$$;

-- p_project_id is null where the thing asked for does not exist. Somebody else's thing looks the same as none.
create function private.require_maintainer(p_project_id uuid, p_noun text) returns void
language plpgsql stable set search_path = '' as $$
declare
    is_operator boolean := private.is_operator();
begin
    if not is_operator then
        perform private.require_role('authenticated');
    end if;
    if p_project_id is null or not is_operator and p_project_id not in (select private.my_project_ids()) then
        perform private.refuse(404, p_noun || '-not-found', format('There is no such %s for you.', p_noun),
            'Check the id, and that you are a member of its project.');
    end if;
    if not is_operator and p_project_id not in (select private.my_maintained_project_ids()) then
        perform private.refuse(403, 'not-maintainer', 'This is for the project''s maintainers and the organisation''s owners.',
            'Ask one of them, or have one of them give you the role.');
    end if;
end
$$;

-- As require_maintainer, for what belongs to a whole organisation.
create function private.require_administrator(p_organisation_id uuid, p_noun text) returns void
language plpgsql stable set search_path = '' as $$
declare
    is_operator boolean := private.is_operator();
begin
    if not is_operator then
        perform private.require_role('authenticated');
    end if;
    if p_organisation_id is null
        or not is_operator and p_organisation_id not in (select private.my_organisation_ids()) then
        perform private.refuse(404, p_noun || '-not-found', format('There is no such %s for you.', p_noun),
            'Check the id, and that you are a member of its organisation.');
    end if;
    if not is_operator and p_organisation_id not in (select private.my_administered_organisation_ids()) then
        perform private.refuse(403, 'not-administrator', 'This is for the organisation''s owners and admins.',
            'Ask one of them, or have one of them give you the role.');
    end if;
end
$$;

-- Authority over a project or an organisation is given by a row: whoever writes one, by whatever way, is on record.
create function private.audit_membership() returns trigger
language plpgsql set search_path = '' as $$
declare
    member jsonb := case tg_op when 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
begin
    perform private.audit(
        case tg_op when 'INSERT' then 'add_member' when 'UPDATE' then 'change_member' else 'remove_member' end,
        tg_table_name, coalesce(member ->> 'project_id', member ->> 'organisation_id'), (member ->> 'project_id')::uuid,
        jsonb_build_object('user_id', member ->> 'user_id', 'role', member ->> 'role',
            'was', case tg_op when 'UPDATE' then to_jsonb(old) ->> 'role' end));
    return null;
end
$$;
create trigger audit_membership after insert or update or delete on public.organisation_members
    for each row execute function private.audit_membership();
create trigger audit_membership after insert or update or delete on public.project_members
    for each row execute function private.audit_membership();

revoke all on function private.my_maintained_project_ids(), private.my_administered_organisation_ids(),
    private.is_operator(), private.require_maintainer(uuid, text), private.require_administrator(uuid, text),
    private.audit_membership() from public, anon, authenticated, service_role;

-- What is decided about a specification after it came in: approve, answer, retry, cancel, pause, wake.
-- SECURITY DEFINER throughout, those that members may call too: nobody but the owner may write a table, so a member's
-- verb cannot work with the member's rights. Each begins by asking who calls. (Supabase's advisor lists such verbs as
-- authenticated_security_definer_function_executable; they are meant.)

-- {sprint_id, spec_id, label, state, resume_at, run_id: the open run, else the last one}
create function private.describe_sprint(p_sprint_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('sprint_id', sprints.id, 'spec_id', spec_id, 'label', label, 'state', state,
        'resume_at', resume_at, 'run_id', (
            select runs.id from public.runs where runs.sprint_id = sprints.id order by attempt desc limit 1))
    from public.sprints where sprints.id = p_sprint_id
$$;

-- The sprint, locked, if the caller may decide about it.
create function private.require_sprint(p_sprint_id uuid) returns public.sprints
language plpgsql set search_path = '' as $$
declare
    sprint public.sprints;
begin
    select * into sprint from public.sprints where id = p_sprint_id;
    perform private.require_maintainer(sprint.project_id, 'sprint');
    perform private.lock_spec(sprint.spec_id);
    perform private.refuse_expired(sprint.spec_id);
    select * into sprint from public.sprints where id = p_sprint_id for update;
    return sprint;
end
$$;

-- A maintainer agrees to the plan. Again: the same answer.
create function public.approve_sprint_v1(p_sprint_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    sprint public.sprints := private.require_sprint(p_sprint_id);
begin
    if sprint.state = 'NEEDS_APPROVAL' then
        update public.sprints set state = 'PLANNED', approved_at = now() where id = sprint.id;
        perform private.record_event(sprint.spec_id, null, 'PLANNING', format('%s was approved.', sprint.label),
            jsonb_build_object('sprint', sprint.label));
        perform private.audit('approve_sprint', 'sprints', sprint.id::text, sprint.project_id,
            jsonb_build_object('label', sprint.label));
        perform private.open_ready_runs(sprint.spec_id);
    elsif sprint.approved_at is null or sprint.state = 'CANCELLED' then
        perform private.refuse(409, 'sprint-not-waiting', format('This sprint is %s and waits for no approval.', sprint.state),
            'Only a sprint in NEEDS_APPROVAL is approved.');
    end if;
    return private.describe_sprint(sprint.id);
end
$$;
revoke all on function public.approve_sprint_v1(uuid) from public, anon, authenticated, service_role;
grant execute on function public.approve_sprint_v1(uuid) to authenticated;

-- Another try of a sprint that failed, or now and not later of one that is paused: PLANNED, with a new run. Where one is
-- under way it is the answer.
create function public.retry_sprint_v1(p_sprint_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    sprint public.sprints := private.require_sprint(p_sprint_id);
begin
    if sprint.state in ('FAILED', 'PAUSED') then
        -- What a failed run left behind is no place to go on from.
        update public.sprints
        set state = 'PLANNED', resume_at = null, session_json = case state when 'PAUSED' then session_json end
        where id = sprint.id;
        perform private.audit('retry_sprint', 'sprints', sprint.id::text, sprint.project_id,
            jsonb_build_object('label', sprint.label, 'was', sprint.state));
        perform private.open_ready_runs(sprint.spec_id);
    elsif not exists (select from public.runs where sprint_id = sprint.id and result is null) then
        perform private.refuse(409, 'sprint-not-failed', format('This sprint is %s.', sprint.state),
            'Only a sprint that is FAILED or PAUSED is tried again.');
    end if;
    return private.describe_sprint(sprint.id);
end
$$;
revoke all on function public.retry_sprint_v1(uuid) from public, anon, authenticated, service_role;
grant execute on function public.retry_sprint_v1(uuid) to authenticated;

-- Ends an open, locked run by decision: FAILED without a report of its own.
create function private.set_aside(p_run public.runs, p_phase text, p_message text, p_summary jsonb) returns void
language plpgsql set search_path = '' as $$
begin
    update public.runs set result = 'FAILED', finished_at = now(), summary_json = p_summary where id = p_run.id;
    perform private.record_event(p_run.spec_id, p_run.id, p_phase, p_message, p_summary);
end
$$;

-- Ends everything that a specification still has before it: sprints that are not DONE are CANCELLED, their open runs
-- FAILED with the code `cancelled`, work orders that nobody has carried out are dropped, and the requester hears of it.
create function public.cancel_spec_v1(p_spec_id uuid, p_reason text default '') returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    spec public.specs;
    run public.runs;
    said text := 'The specification was cancelled.' || coalesce(' ' || nullif(left(btrim(p_reason), 1000), ''), '');
    summary jsonb := jsonb_build_object('status', 'FAILED', 'error', jsonb_build_object('code', 'cancelled', 'message', said));
begin
    select * into spec from public.specs where id = p_spec_id;
    perform private.require_maintainer(spec.project_id, 'specification');
    perform private.lock_spec(spec.id);
    perform private.refuse_expired(spec.id);
    if not exists (select from public.sprints where spec_id = spec.id and state <> 'DONE') then
        perform private.refuse(409, 'spec-done', 'Every sprint of this specification is done.', 'There is nothing to cancel.');
    end if;
    -- The locks in their order (lock_spec), before any of these rows is changed.
    perform from public.outbox
    where payload ->> 'spec_id' = spec.id::text and kind = 'dispatch' and state = 'PENDING' order by id for update;
    perform from public.runs where spec_id = spec.id and result is null order by id for update;
    update public.sprints set state = 'CANCELLED', resume_at = null
    where spec_id = spec.id and state not in ('DONE', 'CANCELLED');
    if found then
        perform private.audit('cancel_spec', 'specs', spec.id::text, spec.project_id, jsonb_build_object('reason', p_reason));
        perform private.enqueue('notify', 'spec_cancelled:' || spec.id, jsonb_build_object('template', 'spec_cancelled',
            'spec_id', spec.id, 'message_id', spec.message_id, 'reason', said), spec.correlation_id);
        if not exists (select from public.runs where spec_id = spec.id and result is null) then
            perform private.record_event(spec.id, null, 'FAILED', said, summary -> 'error');
        end if;
    end if;
    for run in select * from public.runs where spec_id = spec.id and result is null order by id for update loop
        perform private.set_aside(run, 'FAILED', said, summary);
    end loop;
    update public.outbox
    set state = 'DONE', result = '{"outcome": "cancelled"}', lease_id = null, lease_expires_at = null
    where payload ->> 'spec_id' = spec.id::text and kind = 'dispatch' and state = 'PENDING';
    return jsonb_build_object('spec_id', spec.id, 'sprints', (
        select jsonb_agg(private.describe_sprint(id) order by position) from public.sprints where spec_id = spec.id));
end
$$;
revoke all on function public.cancel_spec_v1(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.cancel_spec_v1(uuid, text) to authenticated;

-- The requester's reply: {id, text, answered_by}. It is kept with the sprint, which goes on. The same id again is the
-- same answer.
create function public.answer_sprint_v1(p_sprint_id uuid, p_reply jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    sprint public.sprints;
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_reply, 'The reply', 262144);
    if coalesce(btrim(p_reply ->> 'text'), '') = '' or coalesce(p_reply ->> 'id', '') = '' then
        perform private.refuse(400, 'bad-answer', 'An answer has an id and a text.', 'Hand over both.');
    end if;
    select * into sprint from public.sprints where id = p_sprint_id;
    if sprint.id is null then
        perform private.refuse(404, 'sprint-not-found', 'There is no such sprint.', 'Check the sprint id.');
    end if;
    perform private.lock_spec(sprint.spec_id);
    perform private.refuse_expired(sprint.spec_id);
    select * into sprint from public.sprints where id = p_sprint_id for update;
    if sprint.answers_json @> jsonb_build_array(jsonb_build_object('id', p_reply ->> 'id')) then
        return private.describe_sprint(sprint.id);
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
    return private.describe_sprint(sprint.id);
end
$$;
revoke all on function public.answer_sprint_v1(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.answer_sprint_v1(uuid, jsonb) to aicd_functions;

-- A usage limit was met: this run ends (FAILED, with the status PAUSED in its summary: it did not pass, and a run has
-- no third result), and its sprint waits until p_resume_at for another one, which finds p_session where it starts. No
-- report is sent, for nothing is decided. The same again is the same answer. Scope build.
create function public.pause_run_v1(p_run_id uuid, p_resume_at timestamptz, p_reason text, p_session jsonb default null)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_runner(p_run_id, 'build');
    -- A time that has passed would have tick start run after run.
    wakes_at timestamptz := greatest(p_resume_at, now() + interval '1 minute');
    summary jsonb;
begin
    perform private.refuse_large(p_session, 'The session', 65536);
    if p_resume_at is null or p_resume_at > now() + interval '31 days' then
        perform private.refuse(400, 'bad-resume-at', 'A pause ends at a time within the next 31 days.',
            'Hand over when the limit is lifted; a run that cannot go on fails instead.');
    end if;
    if run.summary_json ->> 'status' is distinct from 'PAUSED' then
        run := private.require_running(p_run_id, 'build');
        summary := jsonb_build_object('status', 'PAUSED', 'resume_at', wakes_at, 'error',
            jsonb_build_object('code', 'paused', 'message', left(coalesce(p_reason, ''), 10000)));
        perform private.set_aside(run, 'PAUSED', p_reason, summary);
        update public.sprints set state = 'PAUSED', resume_at = wakes_at, session_json = p_session
        where id = run.sprint_id;
        run.summary_json := summary;
    end if;
    return jsonb_build_object('run_id', run.id, 'sprint_id', run.sprint_id, 'resume_at', run.summary_json -> 'resume_at');
end
$$;
revoke all on function public.pause_run_v1(uuid, timestamptz, text, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.pause_run_v1(uuid, timestamptz, text, jsonb) to aicd_runner;

-- Has paused sprints go on whose time has come; the ids of their new runs. One that somebody else holds waits a minute.
create function public.wake_sprints_v1(p_limit integer default 100) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    due public.sprints;
    woken jsonb := '[]';
begin
    perform private.require_role('aicd_functions');
    for due in
        select * from public.sprints where state = 'PAUSED' and resume_at <= now()
        order by resume_at limit least(greatest(p_limit, 0), 1000)
    loop
        perform from public.specs where id = due.spec_id for no key update skip locked;
        continue when not found;
        update public.sprints set state = 'PLANNED', resume_at = null
        where id = due.id and state = 'PAUSED' and resume_at <= now();
        continue when not found;
        perform private.open_ready_runs(due.spec_id);
        woken := woken || (private.describe_sprint(due.id) -> 'run_id');
    end loop;
    return woken;
end
$$;
revoke all on function public.wake_sprints_v1(integer) from public, anon, authenticated, service_role;
grant execute on function public.wake_sprints_v1(integer) to aicd_functions;

revoke all on function private.describe_sprint(uuid), private.require_sprint(uuid),
    private.set_aside(public.runs, text, text, jsonb) from public, anon, authenticated, service_role;

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
        'artifacts', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'name', name,
            'content_type', content_type, 'size', size, 'storage_path', storage_path) order by created_at, id), '[]')
            from public.artifacts where run_id = run.id));
end
$$;
