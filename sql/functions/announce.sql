-- Telling the other half that there is work: at once, and never at the price of the work itself.

-- HMAC (RFC 2104) with SHA-256, from core functions only: pgcrypto is not everywhere.
create function private.hmac_sha256(p_key bytea, p_message bytea) returns bytea
language plpgsql immutable parallel safe set search_path = '' as $$
declare
    block bytea := case when length(p_key) > 64 then sha256(p_key) else p_key end;
    inner_pad bytea;
    outer_pad bytea;
begin
    -- 64 is SHA-256's block length; a shorter key is filled with zeros.
    block := block || decode(repeat('00', 64 - length(block)), 'hex');
    inner_pad := block;
    outer_pad := block;
    for place in 0..63 loop
        inner_pad := set_byte(inner_pad, place, get_byte(block, place) # 54);
        outer_pad := set_byte(outer_pad, place, get_byte(block, place) # 92);
    end loop;
    return sha256(outer_pad || sha256(inner_pad || p_message));
end
$$;

-- The database webhook's two headers for a body sent now: seconds since 1970, and HMAC of "seconds.body".
create function private.webhook_headers(p_secret text, p_body text, p_at timestamptz) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'Content-Type', 'application/json',
        'X-Aicd-Timestamp', seconds,
        'X-Aicd-Signature', 'sha256=' || encode(
            private.hmac_sha256(convert_to(p_secret, 'UTF8'), convert_to(seconds || '.' || p_body, 'UTF8')), 'hex'))
    from (select floor(extract(epoch from p_at))::bigint::text as seconds) as stamped
$$;

-- Listeners hear of every new row; where pg_net and the settings are there, the function behind the row's kind is
-- called. tick finds whatever gets lost here, so a failure is a warning and never undoes the row.
-- SECURITY DEFINER: the settings hold the secret, and nobody else reads them.
create function private.announce_outbox() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    url text;
    secret text;
    body jsonb;
begin
    perform pg_notify('aicd_outbox', jsonb_build_object('id', new.id, 'kind', new.kind)::text);
    if to_regprocedure('net.http_post(text,jsonb,jsonb,jsonb,integer)') is null then
        return null;
    end if;
    -- dispatch stops what it has started.
    select value into url from private.settings
    where name = 'webhook_url.' || case new.kind when 'cancel' then 'dispatch' else new.kind end;
    select value into secret from private.settings where name = 'webhook_secret';
    if url is null or secret is null then
        return null;
    end if;
    body := jsonb_build_object('type', 'INSERT', 'table', 'outbox', 'schema', 'public',
        'record', jsonb_build_object('id', new.id, 'kind', new.kind), 'old_record', null);
    -- pg_net sends the text of the jsonb, so that text is what is signed.
    perform net.http_post(url, body, '{}'::jsonb, private.webhook_headers(secret, body::text, clock_timestamp()), 5000);
    return null;
exception when others then
    raise warning 'outbox row % was not announced: %', new.id, sqlerrm;
    return null;
end
$$;
create trigger announce_outbox after insert on public.outbox
    for each row execute function private.announce_outbox();

-- An operator's requeued dead letter is new work, too.
create trigger announce_requeued after update on public.outbox
    for each row when (old.state = 'DEAD' and new.state = 'PENDING') execute function private.announce_outbox();

-- So is work that waited and is due before its time.
create trigger announce_hastened after update of next_attempt_at on public.outbox
    for each row when (old.state = 'PENDING' and new.state = 'PENDING' and new.next_attempt_at < old.next_attempt_at)
    execute function private.announce_outbox();
