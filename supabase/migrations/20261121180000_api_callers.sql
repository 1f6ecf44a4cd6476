-- The API: who calls, and at most how often.

-- How often a caller of the API asks.

create table private.request_times (
    -- key:ID, user:ID or webhook:NAME.
    caller text primary key check (length(caller) between 1 and 200),
    -- When the requests of the last minute came, oldest first; never more than the limit.
    times timestamptz[] not null
-- A row is rewritten with each request; the room beside it keeps that on its page.
) with (fillfactor = 50);
alter table private.request_times enable row level security;
revoke all on table private.request_times from public, anon, authenticated, service_role;

-- Who calls the API, and how often: each call begins with one of these two. SECURITY DEFINER: as in mailboxes.sql.

-- Counts a request and says whether it may be served: at most 100 in any 60 seconds, unless the operator said otherwise
-- (settings: requests_per_caller_and_minute). A refused one does not count, so whoever waits as told is served. Every
-- caller has a row of his own: nobody waits for, or pays for, another one's requests.
create function private.spend_request(p_caller text) returns jsonb
language plpgsql set search_path = '' as $$
declare
    most integer := coalesce(
        (select value::integer from private.settings where name = 'requests_per_caller_and_minute'), 100);
    recent timestamptz[];
    asked_at timestamptz;
begin
    select times into recent from private.request_times where caller = p_caller for update;
    if not found then
        -- A new caller: those who have been silent for a day make room.
        delete from private.request_times where caller in (
            select caller from private.request_times
            where coalesce(times[cardinality(times)], '-infinity') < now() - interval '1 day'
            limit 100 for update skip locked);
        insert into private.request_times as known (caller, times) values (p_caller, '{}')
        on conflict (caller) do update set times = known.times
        returning times into recent;
    end if;
    -- The time under the lock: twins follow each other.
    asked_at := clock_timestamp();
    recent := array(select moment from unnest(recent) as moment where moment > asked_at - interval '60 seconds' order by 1);
    if cardinality(recent) >= most then
        return jsonb_build_object('allowed', false, 'limit', most, 'remaining', 0, 'retry_after_seconds',
            case when most > 0 then greatest(1, ceil(extract(epoch from
                recent[cardinality(recent) - most + 1] + interval '60 seconds' - asked_at)))::integer else 60 end);
    end if;
    update private.request_times set times = recent || asked_at where caller = p_caller;
    return jsonb_build_object('allowed', true, 'limit', most, 'remaining', most - cardinality(recent) - 1,
        'retry_after_seconds', 0);
end
$$;

-- A call with an API key, by the key's hash: check_api_key_v1's answer with `caller` and `limit`
-- {allowed, limit, remaining, retry_after_seconds}; null for a key that does not count.
create function public.open_key_call_v1(p_hash text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    known jsonb;
    caller text;
begin
    perform private.require_role('aicd_functions');
    known := public.check_api_key_v1(p_hash);
    if known is null then
        return null;
    end if;
    caller := 'key:' || (known ->> 'key_id');
    return known || jsonb_build_object('caller', caller, 'limit', private.spend_request(caller));
end
$$;
revoke all on function public.open_key_call_v1(text) from public, anon, authenticated, service_role;
grant execute on function public.open_key_call_v1(text) to aicd_functions;

-- A call with a member's own token, which PostgREST has verified: {caller, user_id, email (null while it is not
-- confirmed), limit}. Refused where the account is gone or banned: its token would live on until it expires.
create function public.open_member_call_v1() returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    member auth.users;
    caller text;
begin
    perform private.require_role('authenticated');
    select * into member from auth.users
    where id = auth.uid() and deleted_at is null and (banned_until is null or banned_until < now());
    if member.id is null then
        perform private.refuse(401, 'account-unknown', 'This token belongs to no account that may sign in.', 'Sign in again.');
    end if;
    caller := 'user:' || member.id;
    return jsonb_build_object('caller', caller, 'user_id', member.id,
        'email', case when member.email_confirmed_at is not null then lower(member.email) end,
        'limit', private.spend_request(caller));
end
$$;
revoke all on function public.open_member_call_v1() from public, anon, authenticated, service_role;
grant execute on function public.open_member_call_v1() to authenticated;

revoke all on function private.spend_request(text) from public, anon, authenticated, service_role;
