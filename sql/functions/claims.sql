-- What the caller's token says, and whether it still counts.

-- The claims of the token that PostgREST and Storage verified; {} when there is none.
-- After a transaction the setting reads as '' and not as null.
create function private.claims() returns jsonb
language sql stable parallel safe set search_path = '' as $$
    select coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb, '{}'::jsonb)
$$;

-- A claim that has to be a uuid; null when absent. A malformed one is refused: read as absent it would widen the token.
create function private.claimed_uuid(p_name text) returns uuid
language plpgsql stable set search_path = '' as $$
declare
    claimed text := private.claims() ->> p_name;
begin
    if claimed !~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then
        perform private.refuse(401, 'token-malformed', format('The claim %s of this token is not a uuid.', p_name),
            'Mint a new token.');
    end if;
    return claimed::uuid;
end
$$;

create function private.claimed_project_id() returns uuid
language sql stable set search_path = '' as $$ select private.claimed_uuid('project_id') $$;

create function private.claimed_run_id() returns uuid
language sql stable set search_path = '' as $$ select private.claimed_uuid('run_id') $$;

-- The specification that a run's token may see; null for a token of a whole project.
-- SECURITY DEFINER: it finds the run's specification before any policy on runs can hold.
create function private.claimed_spec_id() returns uuid
language sql stable security definer set search_path = '' as $$
    select coalesce(
        (select runs.spec_id from public.runs where runs.id = private.claimed_run_id()),
        private.claimed_uuid('spec_id'))
$$;

-- A token without a scope may do both halves of a run; one with a scope only that half.
create function private.scope_allows(p_scope text) returns boolean
language sql stable set search_path = '' as $$
    select coalesce(private.claims() ->> 'scope', p_scope) = p_scope
$$;

-- Whether the presented token still counts: not expired, not revoked. Tokens of our own roles must carry jti and exp;
-- those of members are Auth's, which has its own sessions.
-- SECURITY DEFINER: nobody else reads revoked_tokens. plpgsql here and in my_project_ids, because it keeps its plans from
-- one call to the next: every policy of a member calls both.
create function private.token_is_live() returns boolean
language plpgsql stable security definer set search_path = '' as $$
declare
    -- private.claims() in its own words: a function more costs every read of a member ten microseconds.
    token jsonb := coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb, '{}');
begin
    return case
        when token ->> 'role' is null then false
        when token ->> 'role' in ('aicd_functions', 'aicd_runner') and not (token ? 'jti' and token ? 'exp') then false
        -- PostgREST grants clocks 30 seconds, so do we.
        when to_timestamp((token ->> 'exp')::double precision) < now() - interval '30 seconds' then false
        else not exists (select from public.revoked_tokens where revoked_tokens.jti = token ->> 'jti')
    end;
end
$$;

-- Every verb begins here or in require_runner. The grants already keep other roles out; this holds when one is wrong.
create function private.require_role(p_role text) returns void
language plpgsql stable set search_path = '' as $$
begin
    if not private.token_is_live() then
        perform private.refuse(401, 'token-not-live', 'This token is missing, expired or revoked.',
            'Mint a new one: aicd token mint.');
    end if;
    if private.claims() ->> 'role' is distinct from p_role then
        perform private.refuse(403, 'wrong-role', format('This call is for tokens of role %s.', p_role),
            format('Mint one: aicd token mint --role %s.', replace(p_role, 'aicd_', '')));
    end if;
end
$$;

-- The run, locked, if the presented runner token may touch it and has `p_scope` (null: either scope will do).
-- A run that is not the token's looks the same as one that does not exist.
create function private.require_runner(p_run_id uuid, p_scope text) returns public.runs
language plpgsql set search_path = '' as $$
declare
    run public.runs;
begin
    perform private.require_role('aicd_runner');
    if p_scope is not null and not private.scope_allows(p_scope) then
        perform private.refuse(403, 'wrong-scope', format('This call needs a token with the scope %s.', p_scope),
            format('Run it in the job whose environment is aicd-%s.', p_scope));
    end if;
    select * into run from public.runs
    where runs.id = p_run_id
        and runs.project_id = private.claimed_project_id()
        and runs.id = coalesce(private.claimed_run_id(), runs.id)
        and runs.spec_id = coalesce(private.claimed_uuid('spec_id'), runs.spec_id)
    for update;
    if run.id is null then
        perform private.refuse(404, 'run-not-found', 'There is no such run for this token.',
            'Check the run id; a run''s token reaches that run only.');
    end if;
    return run;
end
$$;

-- Of a storage key like UUID/rest: the uuid; null for any other key, so that no policy ever fails on a cast.
create function private.uuid_of_path(p_name text) returns uuid
language sql immutable parallel safe set search_path = '' as $$
    select case
        when p_name ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/' then substr(p_name, 1, 36)::uuid
    end
$$;

-- The member's organisations. SECURITY DEFINER: the policies on the tables read here are written with it.
create function private.my_organisation_ids() returns setof uuid
language sql stable security definer set search_path = '' as $$
    select organisation_id from public.organisation_members
    where user_id = (select auth.uid()) and private.token_is_live()
$$;

-- The member's projects: those he was added to, and all of the organisations that he owns or administers.
-- SECURITY DEFINER: the policies on the tables read here are written with it.
create function private.my_project_ids() returns setof uuid
language plpgsql stable security definer set search_path = '' as $$
declare
    member_id uuid := auth.uid();
    administered uuid[];
begin
    if not private.token_is_live() then
        return;
    end if;
    return query select project_id from public.project_members where user_id = member_id;
    administered := array(
        select organisation_id from public.organisation_members
        where user_id = member_id and role in ('owner', 'admin'));
    -- A project may come twice: whoever asks, asks whether it is among them.
    if administered <> '{}' then
        return query select id from public.projects where organisation_id = any (administered);
    end if;
end
$$;
