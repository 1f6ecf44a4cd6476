-- The operator's view of one mail: what became of it, and whether anything more will happen by itself.
-- Invoker rights: granted to nobody, called by the owner over a direct connection.

create function private.observe_runs(p_sprint_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object('run_id', id, 'ci_run_id', ci_run_id, 'result', result,
        'branch', branch, 'commit', commit_sha, 'pull_request_url', pull_request ->> 'url', 'summary', summary_json)
        order by attempt), '[]')
    from public.runs where sprint_id = p_sprint_id
$$;

create function private.observe_spec(p_spec_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('spec_id', specs.id, 'repo', repo, 'sprints', (
            select coalesce(jsonb_agg(jsonb_build_object('label', label, 'state', state,
                'runs', private.observe_runs(sprints.id)) order by position), '[]')
            from public.sprints where spec_id = specs.id))
    from public.specs where specs.id = p_spec_id
$$;

-- The outbox rows that a mail, or the specifications it brought, called for.
create function private.work_for_mail(p_message_ids uuid[], p_spec_ids uuid[]) returns setof public.outbox
language sql stable set search_path = '' as $$
    select * from public.outbox
    where payload ->> 'message_id' = any(p_message_ids::text[])
        or payload ->> 'spec_id' = any(p_spec_ids::text[])
        or payload ->> 'run_id' in (select id::text from public.runs where spec_id = any(p_spec_ids))
$$;

create function public.observe_mail_v1(p_gmail_id text) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    mail public.messages;
    claiming uuid;
    spec_ids uuid[];
begin
    select * into mail from public.messages where gmail_id = p_gmail_id;
    if mail.id is null then
        return null;
    end if;
    -- A repeated mail is shown with what the first one made.
    claiming := mail.id;
    if mail.reason = 'duplicate' then
        select id into claiming from public.messages
        where mailbox_id = mail.mailbox_id and sender = mail.sender and rfc_message_id = mail.rfc_message_id
            and state = 'ACCEPTED';
    end if;
    -- An answer is shown with what it was about.
    select coalesce(array_agg(id order by storage_path), '{}') into spec_ids
    from public.specs where message_id = claiming or mail.reason = 'answer' and created_by = mail.sender and exists (
        select from public.sprints
        where spec_id = specs.id and answers_json @> jsonb_build_array(jsonb_build_object('id', mail.id)));
    return jsonb_build_object('state', mail.state, 'reason', mail.reason,
        'first_seen', mail.reason <> 'duplicate',
        'specs', (select coalesce(jsonb_agg(private.observe_spec(id) order by created_at, id), '[]')
            from public.specs where id = any(spec_ids)),
        'events', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'phase', phase, 'message', message)
                order by created_at, id), '[]')
            from public.status_events where spec_id = any(spec_ids)),
        'pending', (select count(*) from private.work_for_mail(array[mail.id, claiming], spec_ids) where state = 'PENDING'),
        'notices', (select coalesce(jsonb_agg(id order by created_at, id), '[]')
            from private.work_for_mail(array[mail.id, claiming], spec_ids) where kind = 'notify'));
end
$$;
revoke all on function public.observe_mail_v1(text) from public, anon, authenticated, service_role;
