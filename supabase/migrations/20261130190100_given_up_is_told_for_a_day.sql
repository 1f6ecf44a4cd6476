-- What is told of a mail that was given up was overwritten by whatever failed after it, and forgotten with each watch.

-- Serves what a mailbox tells of mail that was given up, asked each minute.
create index idx_messages_unfetchable on public.messages (mailbox_id, created_at) where reason = 'unfetchable';

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
create or replace function public.renew_mailbox_v1(p_mailbox_id uuid, p_history_id text, p_watch_expires_at timestamptz)
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

-- As fail_mailbox_v1, for trouble that passes: nobody asks Google for this mailbox before the seconds are over. That a
-- mail was given up within a day is told beside it.
create or replace function public.fail_mailbox_v2(p_mailbox_id uuid, p_error text, p_fix text,
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

-- As heal_mailbox_v1; but that a mail was given up is told for a day, however well the mailbox works by then.
create or replace function public.heal_mailbox_v2(p_mailbox_id uuid) returns boolean
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

-- A mail that cannot be fetched is recorded as such, and its mailbox says so. Answers as record_message_v1 does.
create or replace function public.give_up_message_v1(p_message jsonb, p_error text, p_fix text) returns jsonb
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
