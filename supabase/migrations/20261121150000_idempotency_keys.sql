-- Requests that a caller may repeat: one key, one effect, one answer, for 24 hours.

create table private.idempotent_requests (
    -- Whose key it is: an API key's id, or a user's. Two callers may use the same word.
    caller text not null check (length(caller) between 1 and 200),
    key text not null check (length(key) between 1 and 255),
    -- SHA-256 of method, path and body, in hex: the same key for something else is a mistake.
    request_hash text not null check (request_hash ~ '^[0-9a-f]{64}$'),
    -- null while the first request is being served.
    status integer check (status between 200 and 499),
    response jsonb,
    lease_expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    primary key (caller, key)
);
-- Serves the removal of what is older than a day.
create index idx_idempotent_requests_created_at on private.idempotent_requests (created_at);
alter table private.idempotent_requests enable row level security;
revoke all on table private.idempotent_requests from public, anon, authenticated, service_role;

-- Idempotency keys. SECURITY DEFINER: as in mailboxes.sql.

-- Claims a key before anything is done. outcome: new (serve the request, then finish it), replay (give this very answer
-- again), in-progress (the twin is being served: try again soon), mismatch (the key was used for something else).
create function public.begin_request_v1(p_caller text, p_key text, p_request_hash text, p_lease_seconds integer default 60)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    known private.idempotent_requests;
begin
    perform private.require_role('aicd_functions');
    if p_lease_seconds is null or p_lease_seconds not between 1 and 3600 then
        perform private.refuse(400, 'bad-lease', 'A lease is 1 to 3600 seconds long.', 'Leave it out for 60.');
    end if;
    -- Old answers are forgotten, and a server that died while serving holds its key no longer than its lease.
    delete from private.idempotent_requests
    where caller = p_caller and key = p_key
        and (created_at < now() - interval '24 hours' or (status is null and lease_expires_at < now()
            and request_hash = p_request_hash));
    insert into private.idempotent_requests (caller, key, request_hash, lease_expires_at)
    values (p_caller, p_key, p_request_hash, now() + make_interval(secs => p_lease_seconds))
    on conflict (caller, key) do nothing
    returning * into known;
    if known.caller is not null then
        return jsonb_build_object('outcome', 'new');
    end if;
    select * into known from private.idempotent_requests where caller = p_caller and key = p_key;
    return case
        when known.request_hash is distinct from p_request_hash then jsonb_build_object('outcome', 'mismatch')
        when known.status is null then jsonb_build_object('outcome', 'in-progress')
        else jsonb_build_object('outcome', 'replay', 'status', known.status, 'response', known.response)
    end;
end
$$;
revoke all on function public.begin_request_v1(text, text, text, integer) from public, anon, authenticated, service_role;
grant execute on function public.begin_request_v1(text, text, text, integer) to aicd_functions;

-- Keeps the answer for whoever asks again. A fault of ours (5xx) is not kept: the caller may try again, and the effect's
-- own key sees to it that there is one. Whether this request held the key.
create function public.finish_request_v1(p_caller text, p_key text, p_request_hash text, p_status integer, p_response jsonb)
returns boolean
language plpgsql security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_response, 'The answer', 1048576);
    if p_status >= 500 then
        delete from private.idempotent_requests
        where caller = p_caller and key = p_key and request_hash = p_request_hash and status is null;
    else
        update private.idempotent_requests set status = p_status, response = p_response
        where caller = p_caller and key = p_key and request_hash = p_request_hash and status is null;
    end if;
    return found;
end
$$;
revoke all on function public.finish_request_v1(text, text, text, integer, jsonb)
    from public, anon, authenticated, service_role;
grant execute on function public.finish_request_v1(text, text, text, integer, jsonb) to aicd_functions;
