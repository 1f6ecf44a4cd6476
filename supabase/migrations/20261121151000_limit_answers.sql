-- Tells a known sender what is wrong, once for a Message-ID, and at most so often in a day: twenty times, unless the
-- operator said otherwise. True when it will.
create or replace function private.answer_invalid(p_message_id uuid) returns boolean
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

-- How often one sender is told in a day that his mail was no good; 20 unless it is set.
create function public.limit_answers_v1(p_per_day integer) returns void
language plpgsql set search_path = '' as $$
begin
    if p_per_day is null or p_per_day not between 0 and 100000 then
        perform private.refuse(400, 'bad-limit', 'The limit is 0 to 100000 answers a day.', 'Give a number.');
    end if;
    insert into private.settings (name, value) values ('answers_per_sender_and_day', p_per_day::text)
    on conflict (name) do update set value = excluded.value;
    perform private.audit('limit_answers', 'settings', 'answers_per_sender_and_day', null,
        jsonb_build_object('per_day', p_per_day));
end
$$;
revoke all on function public.limit_answers_v1(integer) from public, anon, authenticated, service_role;
