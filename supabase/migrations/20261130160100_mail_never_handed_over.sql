-- One mail that Gmail can never hand over must not hold its mailbox for ever.

-- Mails that Gmail named and could not hand over. One that it never hands over must not hold its mailbox for ever.
create table private.fetch_failures (
    mailbox_id uuid not null references public.mailboxes (id) on delete cascade,
    gmail_id text not null check (length(gmail_id) between 1 and 200),
    -- All that happen within a minute are one.
    failures integer not null default 1,
    first_at timestamptz not null default now(),
    last_at timestamptz not null default now(),
    primary key (mailbox_id, gmail_id)
);
alter table private.fetch_failures enable row level security;
revoke all on table private.fetch_failures from public, anon, authenticated, service_role;

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

-- A mail that cannot be fetched is recorded as such, and its mailbox says so. Answers as record_message_v1 does.
create function public.give_up_message_v1(p_message jsonb, p_error text, p_fix text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    answer jsonb;
begin
    answer := public.record_message_v1(p_message || '{"state": "REFUSED", "reason": "unfetchable"}');
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

-- As heal_mailbox_v1; but that a mail was given up is told for a day, however well the mailbox works by then. The two
-- were written in one transaction, which is how the error is known to be that one.
create function public.heal_mailbox_v2(p_mailbox_id uuid) returns boolean
language plpgsql security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    if not exists (
        select from public.mailboxes join public.messages on messages.mailbox_id = mailboxes.id
            and messages.created_at = mailboxes.last_error_at
        where mailboxes.id = p_mailbox_id and messages.reason = 'unfetchable'
            and messages.created_at > now() - interval '1 day') then
        return public.heal_mailbox_v1(p_mailbox_id);
    end if;
    update public.mailboxes set retry_at = null where id = p_mailbox_id;
    return false;
end
$$;
revoke all on function public.heal_mailbox_v2(uuid) from public, anon, authenticated, service_role;
grant execute on function public.heal_mailbox_v2(uuid) to aicd_functions;
