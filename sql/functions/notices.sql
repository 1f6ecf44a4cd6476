-- Notices: everything that notify needs to write one mail.

create function private.describe_spec(p_spec_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('id', specs.id, 'repo', repo, 'branch', branch, 'title', title, 'name', name,
        'format', format, 'sha', sha, 'created_by', created_by, 'created_at', created_at, 'sprints', (
            select coalesce(jsonb_agg(jsonb_build_object('id', sprints.id, 'label', label, 'position', position,
                'state', state) order by position), '[]')
            from public.sprints where sprints.spec_id = specs.id))
    from public.specs where specs.id = p_spec_id
$$;

create function private.describe_finished_run(p_run_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('id', id, 'attempt', attempt, 'ci_run_id', ci_run_id, 'ci_url', ci_url,
        'started_at', started_at, 'finished_at', finished_at, 'result', result, 'summary_json', summary_json,
        'branch', branch, 'commit', commit_sha, 'pull_request', pull_request)
    from public.runs where id = p_run_id
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
create function public.describe_notice_v1(p_outbox_id uuid) returns jsonb
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
            from public.sprints where id = coalesce(run.sprint_id, (work.payload ->> 'sprint_id')::uuid)),
        'run', private.describe_finished_run(run.id),
        'questions', coalesce(run.summary_json -> 'questions', (
            select private.questions_of_round(sprints, work.payload ->> 'round_id')
            from public.sprints where id = (work.payload ->> 'sprint_id')::uuid), '[]'), 'planning', private.describe_plan(spec),
        'artifacts', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'name', name,
            'content_type', content_type, 'size', size, 'storage_path', storage_path, 'store', store,
            'encoding', encoding) order by created_at, id), '[]')
            from public.artifacts where run_id = run.id));
end
$$;
revoke all on function public.describe_notice_v1(uuid) from public, anon, authenticated, service_role;
grant execute on function public.describe_notice_v1(uuid) to aicd_functions;

-- Has a notice told elsewhere, too, as a row of its own: what fails there repeats no mail. Each run, each round of
-- questions and each specification is told of once, however many mails are about it. True when the row is new.
create function public.copy_notice_v1(p_outbox_id uuid, p_channel text) returns boolean
language plpgsql security definer set search_path = '' as $$
declare
    work public.outbox;
begin
    perform private.require_role('aicd_functions');
    if p_channel is distinct from 'slack' then
        perform private.refuse(400, 'bad-channel', 'A notice is told by mail, or by slack.', 'Ask for slack.');
    end if;
    select * into work from public.outbox where id = p_outbox_id and kind = 'notify' and not payload ? 'channel';
    if work.id is null then
        perform private.refuse(404, 'notice-not-found', 'There is no such notice.', 'Claim rows of kind notify.');
    end if;
    return private.enqueue('notify', concat_ws(':', p_channel, work.payload ->> 'template',
        coalesce(work.payload ->> 'run_id', work.payload ->> 'round_id', work.payload ->> 'spec_id', work.id::text)),
        work.payload || jsonb_build_object('channel', p_channel), work.correlation_id);
end
$$;
revoke all on function public.copy_notice_v1(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.copy_notice_v1(uuid, text) to aicd_functions;
