-- A mailbox may say itself how its senders are proven.
alter table public.mailboxes add column verify_dkim boolean;
alter table public.mailboxes add column authserv_id text check (authserv_id ~ '^[A-Za-z0-9._-]{1,253}$');

create or replace function public.open_mailbox_v1(p_email text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    opened public.mailboxes;
    patterns jsonb;
begin
    perform private.require_role('aicd_functions');
    update public.mailboxes set last_push_at = now() where email = lower(p_email) returning * into opened;
    if opened.id is null then
        return null;
    end if;
    select case when count(*) <= 500 then coalesce(jsonb_agg(pattern order by pattern), '[]') end into patterns
    from (select distinct pattern from public.senders limit 501) as listed;
    return jsonb_build_object('mailbox_id', opened.id, 'email', opened.email, 'history_id', opened.history_id::text,
        'watch_expires_at', opened.watch_expires_at, 'retry_at', opened.retry_at, 'senders', patterns,
        'verify_dkim', opened.verify_dkim, 'authserv_id', opened.authserv_id);
end
$$;

-- How the senders of one mailbox are proven. {verify_dkim?, authserv_id?}: null is as for all, what is not there stays.
create function public.configure_mailbox_v1(p_email text, p_settings jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    changed public.mailboxes;
begin
    update public.mailboxes
    set verify_dkim = case when p_settings ? 'verify_dkim' then (p_settings ->> 'verify_dkim')::boolean
            else verify_dkim end,
        authserv_id = case when p_settings ? 'authserv_id' then p_settings ->> 'authserv_id' else authserv_id end
    where email = lower(p_email) returning * into changed;
    if changed.id is null then
        perform private.refuse(404, 'mailbox-not-found', 'There is no such mailbox.', 'Add it: create_mailbox_v1.');
    end if;
    perform private.audit('configure_mailbox', 'mailboxes', changed.id::text, null,
        jsonb_build_object('verify_dkim', changed.verify_dkim, 'authserv_id', changed.authserv_id));
    return jsonb_build_object('mailbox_id', changed.id, 'email', changed.email, 'verify_dkim', changed.verify_dkim,
        'authserv_id', changed.authserv_id);
end
$$;
revoke all on function public.configure_mailbox_v1(text, jsonb) from public, anon, authenticated, service_role;
