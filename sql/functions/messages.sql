-- Mail that builds nothing: recorded, so that nothing is lost and nothing is looked at twice.

-- The mail's row. The caller holds the mailbox's lock and knows that this Gmail id is new.
create function private.note_message(p_message jsonb, p_state text, p_reason text, p_problems jsonb) returns uuid
language sql set search_path = '' as $$
    insert into public.messages (id, mailbox_id, gmail_id, gmail_thread_id, rfc_message_id, mail_references, sender,
        subject, state, reason, problems, size, sha256, correlation_id)
    select coalesce(given.id, gen_random_uuid()), given.mailbox_id, given.gmail_id,
        coalesce(left(given.gmail_thread_id, 200), ''), coalesce(left(given.rfc_message_id, 2000), ''),
        coalesce(left(p_message ->> 'references', 20000), ''), lower(coalesce(left(given.sender, 1000), '')),
        coalesce(left(given.subject, 2000), ''), p_state, left(coalesce(p_reason, ''), 200),
        coalesce(p_problems, '[]'), given.size, given.sha256, coalesce(left(given.correlation_id, 200), '')
    from jsonb_to_record(p_message) as given (id uuid, mailbox_id uuid, gmail_id text, gmail_thread_id text,
        rfc_message_id text, sender text, subject text, size bigint, sha256 text, correlation_id text)
    returning id
$$;

-- The mail as recorded before under the same Gmail id; no id when it is new.
create function private.known_message(p_message jsonb) returns public.messages
language sql stable set search_path = '' as $$
    select messages.* from public.messages
    where mailbox_id = (p_message ->> 'mailbox_id')::uuid and gmail_id = p_message ->> 'gmail_id'
$$;

-- An accepted mail with the same sender and Message-ID, met under another Gmail id; no id when there is none.
create function private.accepted_twin(p_message jsonb) returns public.messages
language sql stable set search_path = '' as $$
    select messages.* from public.messages
    where mailbox_id = (p_message ->> 'mailbox_id')::uuid and sender = lower(p_message ->> 'sender')
        and rfc_message_id = p_message ->> 'rfc_message_id' and rfc_message_id <> '' and state = 'ACCEPTED'
$$;

-- Tells a known sender what is wrong, once for a Message-ID, and at most so often in a day: twenty times, unless the
-- operator said otherwise. True when it will.
create function private.answer_invalid(p_message_id uuid) returns boolean
language plpgsql set search_path = '' as $$
declare
    mail public.messages;
    told boolean := false;
begin
    select * into mail from public.messages where id = p_message_id;
    if (select count(*) from public.messages
        where sender = mail.sender and answered and created_at > now() - interval '1 day')
        < coalesce((select value::integer from private.settings where name = 'answers_per_sender_and_day'), 20) then
        told := private.enqueue('notify',
            'invalid:' || private.derived_id(mail.mailbox_id || ':' || mail.sender || ':'
                || coalesce(nullif(mail.rfc_message_id, ''), mail.id::text)),
            jsonb_build_object('template', 'spec_invalid', 'message_id', mail.id), mail.correlation_id);
    end if;
    update public.messages set answered = told where id = p_message_id;
    return told;
end
$$;

-- Which of these mails were dealt with before, so that they need not be fetched again.
create function public.known_messages_v1(p_mailbox_id uuid, p_gmail_ids text[]) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    if cardinality(p_gmail_ids) > 500 then
        perform private.refuse(413, 'too-large', 'At most 500 mails are asked about at once.', 'Ask page by page.');
    end if;
    return (
        select coalesce(jsonb_agg(gmail_id), '[]') from public.messages
        where mailbox_id = p_mailbox_id and gmail_id = any (p_gmail_ids));
end
$$;
revoke all on function public.known_messages_v1(uuid, text[]) from public, anon, authenticated, service_role;
grant execute on function public.known_messages_v1(uuid, text[]) to aicd_functions;

-- As known_messages_v1 → {known, held}: `held` are mails that are held back, the one that was tried longest ago first, so
-- that they can be tried behind all that is new.
create function public.known_messages_v2(p_mailbox_id uuid, p_gmail_ids text[]) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    return jsonb_build_object('known', public.known_messages_v1(p_mailbox_id, p_gmail_ids), 'held', (
        select coalesce(jsonb_agg(gmail_id order by last_at, gmail_id), '[]') from private.fetch_failures
        where mailbox_id = p_mailbox_id and gmail_id = any (p_gmail_ids)));
end
$$;
revoke all on function public.known_messages_v2(uuid, text[]) from public, anon, authenticated, service_role;
grant execute on function public.known_messages_v2(uuid, text[]) to aicd_functions;

-- REFUSED, IGNORED and INVALID mail. An INVALID one of a stranger becomes REFUSED: a stranger gets no answer.
create function public.record_message_v1(p_message jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    known public.messages;
    noted uuid;
    final_state text := p_message ->> 'state';
    final_reason text := p_message ->> 'reason';
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_message, 'The message', 262144);
    if final_state is null or final_state not in ('REFUSED', 'IGNORED', 'INVALID') then
        perform private.refuse(400, 'bad-state', 'Only REFUSED, IGNORED or INVALID mail is recorded here.',
            'Mail with a specification to build goes to ingest_message_v1.');
    end if;
    -- Takes the mailbox's lock, so that deliveries of the same mail follow each other.
    perform private.move_cursor((p_message ->> 'mailbox_id')::uuid, p_message ->> 'history_id');
    known := private.known_message(p_message);
    if known.id is not null then
        return jsonb_build_object('message_id', known.id, 'outcome', 'duplicate', 'answered', known.answered);
    end if;
    if final_state = 'INVALID' and not exists (select from private.senders_of(p_message ->> 'sender')) then
        final_state := 'REFUSED';
        final_reason := 'unknown-sender';
    end if;
    noted := private.note_message(p_message, final_state, final_reason, p_message -> 'problems');
    return jsonb_build_object('message_id', noted, 'outcome', 'recorded',
        'answered', case when final_state = 'INVALID' then private.answer_invalid(noted) else false end);
end
$$;
revoke all on function public.record_message_v1(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.record_message_v1(jsonb) to aicd_functions;

-- Gmail could not hand this mail over: how often by now, and since how many seconds. What is a week old is forgotten.
create function public.note_fetch_failure_v1(p_mailbox_id uuid, p_gmail_id text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    noted private.fetch_failures;
begin
    perform private.require_role('aicd_functions');
    delete from private.fetch_failures where mailbox_id = p_mailbox_id and last_at < now() - interval '7 days';
    insert into private.fetch_failures as held (mailbox_id, gmail_id) values (p_mailbox_id, p_gmail_id)
    on conflict (mailbox_id, gmail_id) do update
    set failures = held.failures + (held.last_at < now() - interval '1 minute')::integer,
        last_at = case when held.last_at < now() - interval '1 minute' then now() else held.last_at end
    returning * into noted;
    return jsonb_build_object('failures', noted.failures,
        'seconds', floor(extract(epoch from now() - noted.first_at)));
end
$$;
revoke all on function public.note_fetch_failure_v1(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.note_fetch_failure_v1(uuid, text) to aicd_functions;

-- This mail was fetched and cannot be judged now. That counts as no failure to hand it over.
create function public.hold_message_v1(p_mailbox_id uuid, p_gmail_id text) returns void
language plpgsql security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    insert into private.fetch_failures (mailbox_id, gmail_id, failures) values (p_mailbox_id, p_gmail_id, 0)
    on conflict (mailbox_id, gmail_id) do update set last_at = now();
end
$$;
revoke all on function public.hold_message_v1(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.hold_message_v1(uuid, text) to aicd_functions;

-- A mail that cannot be fetched is recorded as such, and its mailbox says so. Answers as record_message_v1 does.
create function public.give_up_message_v1(p_message jsonb, p_error text, p_fix text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    answer jsonb;
begin
    answer := public.record_message_v1(p_message || jsonb_build_object('state', 'REFUSED', 'reason', 'unfetchable',
        'problems', jsonb_build_array(jsonb_build_object('error', left(p_error, 999), 'fix', left(p_fix, 999)))));
    if answer ->> 'outcome' = 'recorded' then
        perform public.fail_mailbox_v1((p_message ->> 'mailbox_id')::uuid, p_error, p_fix);
    end if;
    delete from private.fetch_failures
    where mailbox_id = (p_message ->> 'mailbox_id')::uuid and gmail_id = p_message ->> 'gmail_id';
    return answer;
end
$$;
revoke all on function public.give_up_message_v1(jsonb, text, text) from public, anon, authenticated, service_role;
grant execute on function public.give_up_message_v1(jsonb, text, text) to aicd_functions;
