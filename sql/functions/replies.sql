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
