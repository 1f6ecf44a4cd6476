-- A mailbox is read anew without fetching what is known, and not from before it was ours.

-- As open_mailbox_v1, with the moment since when the address is ours: what is older was not written to us.
create function public.open_mailbox_v2(p_email text) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
    return public.open_mailbox_v1(p_email)
        || (select jsonb_build_object('created_at', created_at) from public.mailboxes where email = lower(p_email));
end
$$;
revoke all on function public.open_mailbox_v2(text) from public, anon, authenticated, service_role;
grant execute on function public.open_mailbox_v2(text) to aicd_functions;

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
