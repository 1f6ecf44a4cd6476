-- An accepted mail keeps how it was read, in `problems`, marked as notes: the receipt tells what of it was not built.
create or replace function public.ingest_message_v1(p_message jsonb, p_specs jsonb) returns jsonb
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
