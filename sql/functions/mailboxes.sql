-- Mailboxes: what gmail-push and tick know and learn about them.
-- SECURITY DEFINER throughout: verbs are the only door to tables that no role may write. Each checks its caller first.

-- null when the address is not one of ours. `senders` is null where the allow-list is too long to hand over.
create function public.open_mailbox_v1(p_email text) returns jsonb
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
revoke all on function public.open_mailbox_v1(text) from public, anon, authenticated, service_role;
grant execute on function public.open_mailbox_v1(text) to aicd_functions;

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

create function public.list_mailboxes_v1() returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    return (
        select coalesce(jsonb_agg(jsonb_build_object('mailbox_id', id, 'email', email, 'history_id', history_id::text,
            'watch_expires_at', watch_expires_at, 'last_push_at', last_push_at, 'retry_at', retry_at,
            'last_error', last_error) order by email), '[]')
        from public.mailboxes);
end
$$;
revoke all on function public.list_mailboxes_v1() from public, anon, authenticated, service_role;
grant execute on function public.list_mailboxes_v1() to aicd_functions;

-- The cursor as it is now, which may be further than asked for.
create function public.advance_mailbox_v1(p_mailbox_id uuid, p_history_id text) returns text
language plpgsql security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    return private.move_cursor(p_mailbox_id, p_history_id);
end
$$;
revoke all on function public.advance_mailbox_v1(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.advance_mailbox_v1(uuid, text) to aicd_functions;

-- The mail of this mailbox that was given up last, within a day: {error, fix, at}; null where none was.
create function private.given_up_lately(p_mailbox_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select (problems -> 0) || jsonb_build_object('at', created_at) from public.messages
    where mailbox_id = p_mailbox_id and reason = 'unfetchable' and created_at > now() - interval '1 day'
    order by created_at desc limit 1
$$;
revoke all on function private.given_up_lately(uuid) from public, anon, authenticated, service_role;

-- The mailbox works. What it has to tell then is that a mail was given up, for a day, or nothing.
create function private.settle_mailbox(p_mailbox_id uuid) returns void
language plpgsql set search_path = '' as $$
declare
    given_up jsonb := private.given_up_lately(p_mailbox_id);
begin
    update public.mailboxes
    set last_error = given_up ->> 'error', last_error_fix = given_up ->> 'fix', last_error_at = (given_up ->> 'at')::timestamptz,
        retry_at = null
    where id = p_mailbox_id;
end
$$;
revoke all on function private.settle_mailbox(uuid) from public, anon, authenticated, service_role;

-- A watch was renewed. Its history id is where the mailbox stands now, so it may only begin a cursor: moving one
-- there would skip the mail in between.
create function public.renew_mailbox_v1(p_mailbox_id uuid, p_history_id text, p_watch_expires_at timestamptz)
returns void
language plpgsql security definer set search_path = '' as $$
declare
    had_cursor boolean;
begin
    perform private.require_role('aicd_functions');
    select history_id is not null into had_cursor from public.mailboxes where id = p_mailbox_id for update;
    perform private.move_cursor(p_mailbox_id, case when not coalesce(had_cursor, false) then p_history_id end);
    update public.mailboxes set watch_expires_at = p_watch_expires_at where id = p_mailbox_id;
    perform private.settle_mailbox(p_mailbox_id);
end
$$;
revoke all on function public.renew_mailbox_v1(uuid, text, timestamptz) from public, anon, authenticated, service_role;
grant execute on function public.renew_mailbox_v1(uuid, text, timestamptz) to aicd_functions;

create function public.fail_mailbox_v1(p_mailbox_id uuid, p_error text, p_fix text) returns void
language plpgsql security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    update public.mailboxes
    set last_error = left(p_error, 2000), last_error_fix = left(p_fix, 2000), last_error_at = now()
    where id = p_mailbox_id;
    if not found then
        perform private.refuse(404, 'mailbox-not-found', 'There is no such mailbox.',
            'Add it: the operator''s create_mailbox_v1.');
    end if;
end
$$;
revoke all on function public.fail_mailbox_v1(uuid, text, text) from public, anon, authenticated, service_role;
grant execute on function public.fail_mailbox_v1(uuid, text, text) to aicd_functions;

-- As fail_mailbox_v1, for trouble that passes: nobody asks Google for this mailbox before the seconds are over. That a
-- mail was given up within a day is told beside it.
create function public.fail_mailbox_v2(p_mailbox_id uuid, p_error text, p_fix text,
    p_retry_after_seconds numeric default null) returns void
language plpgsql security definer set search_path = '' as $$
declare
    given_up jsonb := private.given_up_lately(p_mailbox_id);
begin
    perform public.fail_mailbox_v1(p_mailbox_id, concat_ws(' ', left(p_error, 999), given_up ->> 'error'),
        concat_ws(' ', left(p_fix, 999), given_up ->> 'fix'));
    update public.mailboxes
    set retry_at = case when p_retry_after_seconds is not null then now()
        + make_interval(secs => least(greatest(p_retry_after_seconds, 0), 86400)::double precision) end
    where id = p_mailbox_id;
end
$$;
revoke all on function public.fail_mailbox_v2(uuid, text, text, numeric) from public, anon, authenticated, service_role;
grant execute on function public.fail_mailbox_v2(uuid, text, text, numeric) to aicd_functions;

-- The mailbox works again; false when nothing was wrong with it.
create function public.heal_mailbox_v1(p_mailbox_id uuid) returns boolean
language plpgsql security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    update public.mailboxes set last_error = null, last_error_fix = null, last_error_at = null, retry_at = null
    where id = p_mailbox_id and (last_error is not null or retry_at is not null);
    return found;
end
$$;
revoke all on function public.heal_mailbox_v1(uuid) from public, anon, authenticated, service_role;
grant execute on function public.heal_mailbox_v1(uuid) to aicd_functions;

-- As heal_mailbox_v1; but that a mail was given up is told for a day, however well the mailbox works by then.
create function public.heal_mailbox_v2(p_mailbox_id uuid) returns boolean
language plpgsql security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    if private.given_up_lately(p_mailbox_id) is null then
        return public.heal_mailbox_v1(p_mailbox_id);
    end if;
    perform private.settle_mailbox(p_mailbox_id);
    return false;
end
$$;
revoke all on function public.heal_mailbox_v2(uuid) from public, anon, authenticated, service_role;
grant execute on function public.heal_mailbox_v2(uuid) to aicd_functions;
