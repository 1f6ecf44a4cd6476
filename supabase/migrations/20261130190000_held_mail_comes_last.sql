-- Mails that are held back are tried behind all that is new: a hundred of them kept every other one from its turn.

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
