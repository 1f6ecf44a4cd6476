-- API keys: made, checked, revoked. SECURITY DEFINER: as in control.sql.

create function private.describe_api_key(p_key public.api_keys) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('id', p_key.id, 'organisation_id', p_key.organisation_id, 'project_id', p_key.project_id,
        'repo', (select repo from public.projects where id = p_key.project_id), 'name', p_key.name,
        'prefix', p_key.prefix, 'scopes', p_key.scopes, 'created_by', p_key.created_by, 'created_at', p_key.created_at,
        'last_used_at', p_key.last_used_at, 'expires_at', p_key.expires_at, 'revoked_at', p_key.revoked_at,
        'budget_usd_day', p_key.budget_usd_day, 'budget_usd_month', p_key.budget_usd_month)
$$;

-- Whoever may not decide about what a key opens may neither make nor revoke it.
create function private.require_key_authority(p_organisation_id uuid, p_project_id uuid, p_noun text) returns void
language plpgsql stable set search_path = '' as $$
begin
    if p_project_id is not null then
        perform private.require_maintainer(p_project_id, p_noun);
    else
        perform private.require_administrator(p_organisation_id, p_noun);
    end if;
end
$$;

-- p_key: {name, scopes, repo or organisation (a name) or project_id or organisation_id, expires_in_seconds?,
-- budget_usd_day?, budget_usd_month?} → the key's row with `key`, which is shown this once and kept nowhere.
create function public.create_api_key_v1(p_key jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    project public.projects;
    owning uuid;
    made public.api_keys;
    secret text;
begin
    perform private.refuse_large(p_key, 'The key', 16384);
    select * into project from public.projects
    where id = (p_key ->> 'project_id')::uuid or lower(repo) = lower(p_key ->> 'repo');
    -- A project that was named and is not there must not become a key for the whole organisation.
    if p_key ->> 'project_id' is not null or p_key ->> 'repo' is not null then
        perform private.require_maintainer(project.id, 'project');
        owning := project.organisation_id;
    else
        select id into owning from public.organisations
        where id = (p_key ->> 'organisation_id')::uuid or name = p_key ->> 'organisation';
        perform private.require_administrator(owning, 'organisation');
    end if;
    if jsonb_typeof(p_key -> 'scopes') is distinct from 'array'
        or not p_key -> 'scopes' <@ '["specs:read", "specs:write"]' or p_key -> 'scopes' = '[]'
        or length(coalesce(p_key ->> 'name', '')) not between 1 and 100
        or (p_key ->> 'expires_in_seconds')::numeric not between 1 and 315360000
        or (p_key ->> 'budget_usd_day')::numeric not between 0 and 99999999
        or (p_key ->> 'budget_usd_month')::numeric not between 0 and 99999999 then
        perform private.refuse(400, 'bad-key', 'A key has a name, scopes out of specs:read and specs:write, an end within ten years and budgets of 0 USD or more.',
            'Hand over {name, scopes, expires_in_seconds?, budget_usd_day?, budget_usd_month?}.');
    end if;
    -- gen_random_uuid draws on the system's strong chance, 122 bits each time; pgcrypto is not everywhere.
    secret := encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex');
    insert into public.api_keys (organisation_id, project_id, name, prefix, scopes, created_by, expires_at, budget_usd_day,
        budget_usd_month)
    values (owning, project.id, p_key ->> 'name', left(gen_random_uuid()::text, 8),
        array(select distinct jsonb_array_elements_text(p_key -> 'scopes') order by 1), auth.uid(),
        now() + make_interval(secs => (p_key ->> 'expires_in_seconds')::double precision),
        (p_key ->> 'budget_usd_day')::numeric, (p_key ->> 'budget_usd_month')::numeric)
    returning * into made;
    secret := format('aicd_%s_%s', made.prefix, secret);
    insert into private.api_key_hashes (hash, key_id) values (encode(sha256(convert_to(secret, 'UTF8')), 'hex'), made.id);
    perform private.audit('create_api_key', 'api_keys', made.id::text, made.project_id, private.describe_api_key(made));
    return private.describe_api_key(made) || jsonb_build_object('key', secret);
end
$$;
revoke all on function public.create_api_key_v1(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.create_api_key_v1(jsonb) to authenticated;

-- Dead at once; false when it was revoked before.
create function public.revoke_api_key_v1(p_id uuid, p_reason text default '') returns boolean
language plpgsql security definer set search_path = '' as $$
declare
    known public.api_keys;
begin
    select * into known from public.api_keys where id = p_id;
    perform private.require_key_authority(known.organisation_id, known.project_id, 'api-key');
    update public.api_keys set revoked_at = now() where id = p_id and revoked_at is null;
    if found then
        perform private.audit('revoke_api_key', 'api_keys', p_id::text, known.project_id,
            jsonb_build_object('name', known.name, 'prefix', known.prefix, 'reason', p_reason));
        return true;
    end if;
    return false;
end
$$;
revoke all on function public.revoke_api_key_v1(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.revoke_api_key_v1(uuid, text) to authenticated;

-- Whose key this is and what it may, by the hash of the key; null for one that is unknown, expired or revoked alike. One
-- probe of an index whatever the answer, and the hash of a guess tells nothing of the next guess. A use is written down
-- once a minute at most, and not waited for.
create function public.check_api_key_v1(p_hash text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    known public.api_keys;
begin
    perform private.require_role('aicd_functions');
    select api_keys.* into known
    from private.api_key_hashes join public.api_keys on api_keys.id = api_key_hashes.key_id
    where api_key_hashes.hash = p_hash and revoked_at is null and (expires_at is null or expires_at > now());
    update public.api_keys set last_used_at = now()
    where id = (
        select id from public.api_keys
        where id = known.id and (last_used_at is null or last_used_at < now() - interval '1 minute')
        for no key update skip locked);
    return case when known.id is not null then jsonb_build_object('key_id', known.id,
        'organisation_id', known.organisation_id, 'project_id', known.project_id, 'name', known.name,
        'scopes', known.scopes) end;
end
$$;
revoke all on function public.check_api_key_v1(text) from public, anon, authenticated, service_role;
grant execute on function public.check_api_key_v1(text) to aicd_functions;

-- The operator's list, newest first, of one repository or of all. Invoker rights: granted to nobody.
create function public.list_api_keys_v1(p_repo text default null) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(private.describe_api_key(api_keys) order by created_at desc, id), '[]')
    from public.api_keys
    where p_repo is null or project_id = (select id from public.projects where lower(repo) = lower(p_repo))
$$;
revoke all on function public.list_api_keys_v1(text) from public, anon, authenticated, service_role;

revoke all on function private.describe_api_key(public.api_keys), private.require_key_authority(uuid, uuid, text)
    from public, anon, authenticated, service_role;
