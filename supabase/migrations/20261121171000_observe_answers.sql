-- The operator's view of one mail: an answer to our questions is shown with the specification that it was about.
create or replace function public.observe_mail_v1(p_gmail_id text) returns jsonb
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
