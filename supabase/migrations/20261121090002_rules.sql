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
-- SECURITY DEFINER: nobody else reads revoked_tokens.
create function private.token_is_live() returns boolean
language sql stable security definer set search_path = '' as $$
    select case
        when token ->> 'role' is null then false
        when token ->> 'role' in ('aicd_functions', 'aicd_runner') and not (token ? 'jti' and token ? 'exp') then false
        -- PostgREST grants clocks 30 seconds, so do we.
        when to_timestamp((token ->> 'exp')::double precision) < now() - interval '30 seconds' then false
        else not exists (select from public.revoked_tokens where revoked_tokens.jti = token ->> 'jti')
    end
    from (select private.claims() as token) as presented
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
language sql stable security definer set search_path = '' as $$
    select project_id from public.project_members
    where user_id = (select auth.uid()) and private.token_is_live()
    union
    select projects.id
    from public.organisation_members
    join public.projects on projects.organisation_id = organisation_members.organisation_id
    where organisation_members.user_id = (select auth.uid())
        and organisation_members.role in ('owner', 'admin') and private.token_is_live()
$$;

-- Which moves are allowed. Enforced for everybody, the owner too; drawn in docs/states.md.

-- The allowed moves of a sprint. A sprint begins as PLANNED, NEEDS_INPUT or NEEDS_APPROVAL: p_from is null then.
create function private.sprint_may_move(p_from text, p_to text) returns boolean
language sql immutable parallel safe set search_path = '' as $$
    select p_to = any (case coalesce(p_from, '')
        when '' then array['PLANNED', 'NEEDS_INPUT', 'NEEDS_APPROVAL']
        -- FAILED without RUNNING: its run could not be dispatched.
        when 'PLANNED' then array['NEEDS_INPUT', 'NEEDS_APPROVAL', 'RUNNING', 'FAILED', 'CANCELLED']
        when 'NEEDS_INPUT' then array['PLANNED', 'NEEDS_APPROVAL', 'CANCELLED']
        when 'NEEDS_APPROVAL' then array['PLANNED', 'NEEDS_INPUT', 'CANCELLED']
        -- NEEDS_INPUT: the planner on the runner has questions.
        when 'RUNNING' then array['DONE', 'FAILED', 'PAUSED', 'NEEDS_INPUT', 'CANCELLED']
        when 'PAUSED' then array['RUNNING', 'FAILED', 'CANCELLED']
        -- Somebody asks for another try.
        when 'FAILED' then array['PLANNED', 'CANCELLED']
        else array[]::text[]
    end)
$$;

-- PENDING ends as DONE or DEAD; an operator may bring a dead one back.
create function private.outbox_may_move(p_from text, p_to text) returns boolean
language sql immutable parallel safe set search_path = '' as $$
    select p_to = any (case coalesce(p_from, '')
        when '' then array['PENDING']
        when 'PENDING' then array['DONE', 'DEAD']
        when 'DEAD' then array['PENDING']
        else array[]::text[]
    end)
$$;

create function private.refuse_move(p_noun text, p_from text, p_to text) returns void
language plpgsql set search_path = '' as $$
begin
    perform private.refuse(409, 'illegal-move',
        format('%s does not move from %s to %s.', p_noun, coalesce(p_from, 'nothing'), coalesce(p_to, 'nothing')),
        'docs/states.md draws the allowed moves.');
end
$$;

create function private.guard_sprint() returns trigger
language plpgsql set search_path = '' as $$
declare
    before text := case when tg_op = 'UPDATE' then old.state end;
begin
    if new.state is distinct from before and not private.sprint_may_move(before, new.state) then
        perform private.refuse_move('A sprint', before, new.state);
    end if;
    return new;
end
$$;
create trigger guard_sprint before insert or update on public.sprints
    for each row execute function private.guard_sprint();

-- A run begins without result and gets one, once. What it was bound to and when it began never changes.
create function private.guard_run() returns trigger
language plpgsql set search_path = '' as $$
begin
    if tg_op = 'INSERT' and new.result is not null then
        perform private.refuse_move('A run', null, new.result);
    end if;
    if tg_op = 'UPDATE' then
        if old.result is not null and new.result is distinct from old.result then
            perform private.refuse_move('A run', old.result, new.result);
        end if;
        if old.result is not null
                and (new.summary_json, new.finished_at) is distinct from (old.summary_json, old.finished_at)
            or old.started_at is not null and new.started_at is distinct from old.started_at
            or old.ci_run_id is not null and new.ci_run_id is distinct from old.ci_run_id then
            perform private.refuse(409, 'illegal-move', 'A run keeps its CI run, its start, its end and its summary.',
                'docs/states.md draws the allowed moves.');
        end if;
        if old.result is null and new.result is not null then
            new.finished_at := coalesce(new.finished_at, now());
        end if;
    end if;
    return new;
end
$$;
create trigger guard_run before insert or update on public.runs
    for each row execute function private.guard_run();

create function private.guard_outbox() returns trigger
language plpgsql set search_path = '' as $$
declare
    before text := case when tg_op = 'UPDATE' then old.state end;
begin
    if new.state is distinct from before and not private.outbox_may_move(before, new.state) then
        perform private.refuse_move('An outbox row', before, new.state);
    end if;
    new.done_at := case new.state when 'DONE' then coalesce(new.done_at, now()) end;
    new.dead_at := case new.state when 'DEAD' then coalesce(new.dead_at, now()) end;
    return new;
end
$$;
create trigger guard_outbox before insert or update on public.outbox
    for each row execute function private.guard_outbox();

-- The columns named as arguments never change once written.
create function private.guard_identity() returns trigger
language plpgsql set search_path = '' as $$
declare
    fixed text;
begin
    foreach fixed in array tg_argv loop
        if to_jsonb(new) -> fixed is distinct from to_jsonb(old) -> fixed then
            perform private.refuse(409, 'illegal-move', format('%s.%s never changes.', tg_table_name, fixed),
                'Write a new row instead.');
        end if;
    end loop;
    return new;
end
$$;
create trigger guard_identity before update on public.messages for each row
    execute function private.guard_identity('id', 'mailbox_id', 'gmail_id', 'sender', 'rfc_message_id', 'state');
create trigger guard_identity before update on public.specs for each row
    execute function private.guard_identity('id', 'project_id', 'message_id', 'repo', 'storage_path', 'sha', 'created_by');
create trigger guard_identity before update on public.sprints for each row
    execute function private.guard_identity('id', 'spec_id', 'project_id', 'label', 'position');
create trigger guard_identity before update on public.runs for each row
    execute function private.guard_identity('id', 'sprint_id', 'spec_id', 'project_id', 'attempt');
create trigger guard_identity before update on public.outbox for each row
    execute function private.guard_identity('id', 'kind', 'payload', 'idempotency_key');

create function private.refuse_rewriting() returns trigger
language plpgsql set search_path = '' as $$
begin
    perform private.refuse(409, 'append-only', format('%s is only ever added to.', tg_table_name),
        'Add a row that says what is so now.');
    return null;
end
$$;
create trigger append_only before update or delete or truncate on public.audit_log
    for each statement execute function private.refuse_rewriting();

-- A row's project and specification are its parent's, always: policies trust these columns.
-- A parent that does not exist leaves null, which the column refuses.

create function private.inherit_project() returns trigger
language plpgsql set search_path = '' as $$
begin
    select id into new.project_id from public.projects where lower(repo) = lower(new.repo);
    return new;
end
$$;
create trigger inherit_project before insert on public.specs
    for each row execute function private.inherit_project();

create function private.inherit_from_spec() returns trigger
language plpgsql set search_path = '' as $$
begin
    select project_id into new.project_id from public.specs where id = new.spec_id;
    return new;
end
$$;
create trigger inherit_from_spec before insert on public.sprints
    for each row execute function private.inherit_from_spec();

create function private.inherit_from_sprint() returns trigger
language plpgsql set search_path = '' as $$
begin
    select spec_id, project_id into new.spec_id, new.project_id from public.sprints where id = new.sprint_id;
    return new;
end
$$;
create trigger inherit_from_sprint before insert on public.runs
    for each row execute function private.inherit_from_sprint();

create function private.inherit_from_run() returns trigger
language plpgsql set search_path = '' as $$
begin
    select project_id into new.project_id from public.runs where id = new.run_id;
    return new;
end
$$;
create trigger inherit_from_run before insert on public.artifacts
    for each row execute function private.inherit_from_run();
create trigger inherit_from_run before insert on public.agent_executions
    for each row execute function private.inherit_from_run();

create function private.inherit_event() returns trigger
language plpgsql set search_path = '' as $$
begin
    if new.run_id is null then
        select project_id into new.project_id from public.specs where id = new.spec_id;
    else
        select spec_id, project_id into new.spec_id, new.project_id from public.runs where id = new.run_id;
    end if;
    return new;
end
$$;
create trigger inherit_event before insert on public.status_events
    for each row execute function private.inherit_event();

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
    select value into url from private.settings where name = 'webhook_url.' || new.kind;
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

-- Steps that several verbs share. Not granted to anybody: the verbs run with the owner's rights.

-- Writes down work for the other half; the same key twice is one piece of work. True when it is new.
create function private.enqueue(p_kind text, p_key text, p_payload jsonb, p_correlation_id text) returns boolean
language plpgsql set search_path = '' as $$
begin
    insert into public.outbox (kind, payload, idempotency_key, correlation_id)
    values (p_kind, p_payload, p_key, coalesce(p_correlation_id, ''))
    on conflict (idempotency_key) do nothing;
    return found;
end
$$;

create function private.audit(p_action text, p_table text, p_subject text, p_project_id uuid, p_details jsonb)
returns void
language sql set search_path = '' as $$
    insert into public.audit_log (actor, action, subject_table, subject_id, project_id, details)
    values (
        coalesce((private.claims() ->> 'role') || ':' || coalesce(private.claims() ->> 'jti', private.claims() ->> 'sub', ''),
            session_user),
        p_action, p_table, p_subject, p_project_id, coalesce(p_details, '{}'))
$$;

create function private.record_event(p_spec_id uuid, p_run_id uuid, p_phase text, p_message text, p_metadata jsonb)
returns uuid
language sql set search_path = '' as $$
    insert into public.status_events (spec_id, run_id, phase, message, metadata)
    values (p_spec_id, p_run_id, p_phase, left(coalesce(p_message, ''), 10000), coalesce(p_metadata, '{}'))
    returning id
$$;

-- The open run of a sprint that is ready to be built, made if need be, with the work order to dispatch it.
create function private.open_run(p_sprint_id uuid) returns uuid
language plpgsql set search_path = '' as $$
declare
    made public.runs;
    next_attempt integer;
begin
    -- The sprint's lock: two callers must not both find that there is no open run.
    perform from public.sprints where id = p_sprint_id for update;
    select * into made from public.runs where sprint_id = p_sprint_id and result is null;
    if made.id is null then
        select coalesce(max(attempt), 0) + 1 into next_attempt from public.runs where sprint_id = p_sprint_id;
        insert into public.runs (id, sprint_id, attempt, correlation_id)
        select private.derived_id('run:' || p_sprint_id || ':' || next_attempt), sprints.id, next_attempt,
            specs.correlation_id
        from public.sprints join public.specs on specs.id = sprints.spec_id
        where sprints.id = p_sprint_id
        returning * into made;
    end if;
    perform private.enqueue('dispatch', 'dispatch:' || made.id,
        jsonb_build_object('run_id', made.id, 'spec_id', made.spec_id, 'sprint_id', made.sprint_id),
        made.correlation_id);
    return made.id;
end
$$;

-- Ends a locked, open run that nobody will finish: run and sprint FAILED, an event, a report to the requester.
create function private.fail_run(p_run public.runs, p_code text, p_reason text) returns void
language plpgsql set search_path = '' as $$
begin
    update public.runs
    set result = 'FAILED', finished_at = now(),
        summary_json = jsonb_build_object('status', 'FAILED', 'error',
            jsonb_build_object('code', p_code, 'message', left(p_reason, 10000)))
    where id = p_run.id;
    update public.sprints set state = 'FAILED'
    where id = p_run.sprint_id and private.sprint_may_move(state, 'FAILED');
    perform private.record_event(p_run.spec_id, p_run.id, 'FAILED', p_reason, jsonb_build_object('code', p_code));
    perform private.enqueue('notify', 'report:' || p_run.id,
        jsonb_build_object('template', 'report', 'spec_id', p_run.spec_id, 'run_id', p_run.id), p_run.correlation_id);
    perform private.audit('abandon_run', 'runs', p_run.id::text, p_run.project_id,
        jsonb_build_object('code', p_code, 'reason', p_reason));
end
$$;

-- The cursor never moves back: pushes arrive in any order.
create function private.move_cursor(p_mailbox_id uuid, p_history_id text) returns text
language plpgsql set search_path = '' as $$
declare
    cursor_now numeric;
begin
    if p_history_id is not null and p_history_id !~ '^[0-9]{1,20}$' then
        perform private.refuse(400, 'bad-history-id', 'A history id is a number of at most 20 digits.',
            'Hand over what Gmail gave, as text.');
    end if;
    update public.mailboxes set history_id = greatest(history_id, p_history_id::numeric)
    where id = p_mailbox_id
    returning history_id into cursor_now;
    if not found then
        perform private.refuse(404, 'mailbox-not-found', 'There is no such mailbox.',
            'Add it: the operator''s create_mailbox_v1.');
    end if;
    return cursor_now::text;
end
$$;

-- The rows of the allow-list that let this address in: its own, or its domain's.
create function private.senders_of(p_sender text) returns setof public.senders
language sql stable set search_path = '' as $$
    select * from public.senders
    where pattern in (lower(p_sender), '*@' || lower(substring(p_sender from '@([^@]+)$')))
$$;
