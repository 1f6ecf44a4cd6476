-- How a verb says no. PostgREST answers SQLSTATE PTxyz with HTTP status xyz.

-- `p_code` is the stable kebab-case word, `p_detail` what is wrong, `p_fix` what to do about it.
create function private.refuse(p_status integer, p_code text, p_detail text, p_fix text) returns void
language plpgsql set search_path = '' as $$
begin
    raise exception using errcode = 'PT' || p_status, message = p_code, detail = p_detail, hint = p_fix;
end
$$;

-- Refuses a JSON document that is longer than we are willing to keep.
create function private.refuse_large(p_value jsonb, p_name text, p_limit integer) returns void
language plpgsql set search_path = '' as $$
begin
    if octet_length(p_value::text) > p_limit then
        perform private.refuse(413, 'too-large',
            format('%s is %s bytes long; %s are accepted.', p_name, octet_length(p_value::text), p_limit),
            'Keep the details in an artifact and send a shorter account.');
    end if;
end
$$;

-- The same words always give the same id, so that a replay meets its own rows. Version 8: made from a hash.
create function private.derived_id(p_words text) returns uuid
language sql immutable parallel safe set search_path = '' as $$
    select (substr(digest, 1, 12) || '8' || substr(digest, 14, 3) || 'a' || substr(digest, 18, 15))::uuid
    from (select encode(sha256(convert_to(p_words, 'UTF8')), 'hex') as digest) as hashed
$$;
