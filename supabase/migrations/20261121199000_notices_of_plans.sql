-- What a mail about a plan or about questions has to say. After 20261121190000, which has the same verb.
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
        'questions', coalesce(run.summary_json -> 'questions', '[]'), 'planning', spec.planning_json,
        'artifacts', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'name', name,
            'content_type', content_type, 'size', size, 'storage_path', storage_path, 'store', store,
            'encoding', encoding) order by created_at, id), '[]')
            from public.artifacts where run_id = run.id));
end
$$;

