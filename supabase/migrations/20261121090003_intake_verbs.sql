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
        'watch_expires_at', opened.watch_expires_at, 'senders', patterns);
end
$$;
revoke all on function public.open_mailbox_v1(text) from public, anon, authenticated, service_role;
grant execute on function public.open_mailbox_v1(text) to aicd_functions;

create function public.list_mailboxes_v1() returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    return (
        select coalesce(jsonb_agg(jsonb_build_object('mailbox_id', id, 'email', email, 'history_id', history_id::text,
            'watch_expires_at', watch_expires_at, 'last_push_at', last_push_at) order by email), '[]')
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
    update public.mailboxes
    set watch_expires_at = p_watch_expires_at, last_error = null, last_error_fix = null, last_error_at = null
    where id = p_mailbox_id;
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

-- Mail that builds nothing: recorded, so that nothing is lost and nothing is looked at twice.

-- The mail's row. The caller holds the mailbox's lock and knows that this Gmail id is new.
create function private.note_message(p_message jsonb, p_state text, p_reason text, p_problems jsonb) returns uuid
language sql set search_path = '' as $$
    insert into public.messages (id, mailbox_id, gmail_id, gmail_thread_id, rfc_message_id, mail_references, sender,
        subject, state, reason, problems, size, sha256, correlation_id)
    select coalesce(given.id, gen_random_uuid()), given.mailbox_id, given.gmail_id,
        coalesce(left(given.gmail_thread_id, 200), ''), coalesce(left(given.rfc_message_id, 2000), ''),
        coalesce(left(p_message ->> 'references', 20000), ''), lower(coalesce(left(given.sender, 1000), '')),
        coalesce(left(given.subject, 2000), ''), p_state, left(coalesce(p_reason, ''), 200),
        coalesce(p_problems, '[]'), given.size, given.sha256, coalesce(left(given.correlation_id, 200), '')
    from jsonb_to_record(p_message) as given (id uuid, mailbox_id uuid, gmail_id text, gmail_thread_id text,
        rfc_message_id text, sender text, subject text, size bigint, sha256 text, correlation_id text)
    returning id
$$;

-- The mail as recorded before under the same Gmail id; no id when it is new.
create function private.known_message(p_message jsonb) returns public.messages
language sql stable set search_path = '' as $$
    select messages.* from public.messages
    where mailbox_id = (p_message ->> 'mailbox_id')::uuid and gmail_id = p_message ->> 'gmail_id'
$$;

-- An accepted mail with the same sender and Message-ID, met under another Gmail id; no id when there is none.
create function private.accepted_twin(p_message jsonb) returns public.messages
language sql stable set search_path = '' as $$
    select messages.* from public.messages
    where mailbox_id = (p_message ->> 'mailbox_id')::uuid and sender = lower(p_message ->> 'sender')
        and rfc_message_id = p_message ->> 'rfc_message_id' and rfc_message_id <> '' and state = 'ACCEPTED'
$$;

-- Tells a known sender what is wrong, once for a Message-ID, and at most twenty times in a day. True when it will.
create function private.answer_invalid(p_message_id uuid) returns boolean
language plpgsql set search_path = '' as $$
declare
    mail public.messages;
    told boolean := false;
begin
    select * into mail from public.messages where id = p_message_id;
    if (select count(*) from public.messages
        where sender = mail.sender and answered and created_at > now() - interval '1 day') < 20 then
        told := private.enqueue('notify',
            'invalid:' || private.derived_id(mail.mailbox_id || ':' || mail.sender || ':'
                || coalesce(nullif(mail.rfc_message_id, ''), mail.id::text)),
            jsonb_build_object('template', 'spec_invalid', 'message_id', mail.id), mail.correlation_id);
    end if;
    update public.messages set answered = told where id = p_message_id;
    return told;
end
$$;

-- REFUSED, IGNORED and INVALID mail. An INVALID one of a stranger becomes REFUSED: a stranger gets no answer.
create function public.record_message_v1(p_message jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    known public.messages;
    noted uuid;
    final_state text := p_message ->> 'state';
    final_reason text := p_message ->> 'reason';
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_message, 'The message', 262144);
    if final_state is null or final_state not in ('REFUSED', 'IGNORED', 'INVALID') then
        perform private.refuse(400, 'bad-state', 'Only REFUSED, IGNORED or INVALID mail is recorded here.',
            'Mail with a specification to build goes to ingest_message_v1.');
    end if;
    -- Takes the mailbox's lock, so that deliveries of the same mail follow each other.
    perform private.move_cursor((p_message ->> 'mailbox_id')::uuid, p_message ->> 'history_id');
    known := private.known_message(p_message);
    if known.id is not null then
        return jsonb_build_object('message_id', known.id, 'outcome', 'duplicate', 'answered', known.answered);
    end if;
    if final_state = 'INVALID' and not exists (select from private.senders_of(p_message ->> 'sender')) then
        final_state := 'REFUSED';
        final_reason := 'unknown-sender';
    end if;
    noted := private.note_message(p_message, final_state, final_reason, p_message -> 'problems');
    return jsonb_build_object('message_id', noted, 'outcome', 'recorded',
        'answered', case when final_state = 'INVALID' then private.answer_invalid(noted) else false end);
end
$$;
revoke all on function public.record_message_v1(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.record_message_v1(jsonb) to aicd_functions;

-- Intake: one mail with its specifications becomes messages, specs, sprints, runs, events and work orders, or nothing.

-- What ingest_message_v1 answers for a recorded mail.
create function private.describe_intake(p_message_id uuid, p_outcome text, p_reason text) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('outcome', p_outcome, 'message_id', p_message_id, 'reason', p_reason,
        'specs', coalesce(jsonb_agg(jsonb_build_object('spec_id', specs.id, 'runs', (
            select coalesce(jsonb_agg(runs.id order by runs.created_at, runs.id), '[]')
            from public.runs where runs.spec_id = specs.id)) order by specs.created_at, specs.id), '[]'))
    from public.specs where specs.message_id = p_message_id
$$;

-- Whether a branch name fits one of the project's patterns, in which * stands for anything.
create function private.branch_fits(p_branch text, p_patterns jsonb) returns boolean
language sql immutable set search_path = '' as $$
    select exists (
        select from jsonb_array_elements_text(p_patterns) as pattern
        where p_branch like replace(replace(replace(replace(pattern, '\', '\\'), '_', '\_'), '%', '\%'), '*', '%'))
$$;

-- Why this sender may not have this specification built: {code, message}; null when he may.
-- A repository that we do not know and one that is not his get the same answer.
create function private.refusal_of(p_sender text, p_spec jsonb, p_specs_in_mail integer) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    target public.projects;
    most integer;
    already bigint;
begin
    select * into target from public.projects where lower(repo) = lower(p_spec ->> 'repo');
    select max(daily_limit) into most from private.senders_of(p_sender)
    where target.id is not null and (project_id is null or project_id = target.id);
    if most is null then
        return jsonb_build_object('code', 'repository-not-allowed', 'message',
            format('You may not have anything built in the repository %s, or it is not set up here.', p_spec ->> 'repo'));
    end if;
    if jsonb_typeof(target.policy -> 'branches') = 'array' and p_spec ->> 'branch' is not null
        and p_spec ->> 'branch' <> target.default_branch
        and not private.branch_fits(p_spec ->> 'branch', target.policy -> 'branches') then
        return jsonb_build_object('code', 'branch-not-allowed', 'message',
            format('The project %s does not accept work on the branch %s.', target.repo, p_spec ->> 'branch'));
    end if;
    select count(*) into already from public.specs
    where created_by = p_sender and created_at > now() - interval '1 day';
    most := least(most, (case when jsonb_typeof(target.policy -> 'daily_specs') = 'number'
        then target.policy ->> 'daily_specs' end)::numeric::integer);
    if already + p_specs_in_mail > most then
        return jsonb_build_object('code', 'daily-limit', 'message',
            format('Your limit of %s specifications in 24 hours is used up.', most));
    end if;
    return null;
end
$$;

-- A specification, its sprints, the run of the first one, its first events and its receipt.
create function private.store_spec(p_message public.messages, p_spec jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    made public.specs;
    first_sprint public.sprints;
    waits boolean;
begin
    insert into public.specs (id, message_id, repo, branch, storage_path, sha, size, name, title, format,
        correlation_id, created_by)
    select given.id, p_message.id, projects.repo, given.branch, given.storage_path, given.sha, given.size,
        coalesce(left(given.name, 1000), ''), coalesce(left(given.title, 1000), ''), coalesce(given.format, 'yaml'),
        p_message.correlation_id, p_message.sender
    from jsonb_to_record(p_spec) as given (id uuid, name text, repo text, branch text, title text, format text,
        storage_path text, sha text, size bigint)
    join public.projects on lower(projects.repo) = lower(given.repo)
    returning * into made;
    select coalesce((p_spec ->> 'needs_approval')::boolean, false) or coalesce(policy ->> 'approval' = 'required', false)
    into waits from public.projects where id = made.project_id;
    -- Without a plan there is one sprint, which the runner's planner replaces.
    insert into public.sprints (id, spec_id, label, position, dod_json, plan_json, state)
    select private.derived_id('sprint:' || made.id || ':' || place), made.id, left(sprint ->> 'label', 200), place,
        coalesce(sprint -> 'dod', '{}'), case when sprint ? 'unplanned' then null else sprint end,
        case when waits and place = 1 then 'NEEDS_APPROVAL' else 'PLANNED' end
    from jsonb_array_elements(case
            when jsonb_typeof(p_spec #> '{plan,sprints}') = 'array' then p_spec #> '{plan,sprints}'
            else '[{"label": "planning", "unplanned": true}]' end) with ordinality as planned (sprint, place);
    select * into first_sprint from public.sprints where spec_id = made.id order by position limit 1;
    perform private.record_event(made.id, null, 'SPEC_RECEIVED', 'The specification was received.',
        jsonb_build_object('sha', made.sha, 'sender', made.created_by));
    perform private.record_event(made.id, null, 'PLANNING', case
        when first_sprint.state = 'NEEDS_APPROVAL' then 'The plan waits for approval.'
        when first_sprint.plan_json is null then 'The specification waits to be planned.'
        else 'The specification brings its plan.' end,
        jsonb_build_object('sprints', (select count(*) from public.sprints where spec_id = made.id)));
    if first_sprint.state = 'PLANNED' then
        perform private.open_run(first_sprint.id);
    end if;
    perform private.enqueue('notify', 'spec_received:' || made.id, jsonb_build_object('template', 'spec_received',
        'message_id', p_message.id, 'spec_id', made.id), made.correlation_id);
end
$$;

create function private.require_specs(p_specs jsonb) returns void
language plpgsql set search_path = '' as $$
begin
    if jsonb_typeof(p_specs) is distinct from 'array' or jsonb_array_length(p_specs) not between 1 and 20 then
        perform private.refuse(400, 'bad-specs', 'A mail carries 1 to 20 specifications.',
            'Mail without one goes to record_message_v1.');
    end if;
    if exists (select from jsonb_array_elements(p_specs) as spec
               where spec ->> 'storage_path' is distinct from (spec ->> 'id') || '/source') then
        perform private.refuse(400, 'bad-storage-path', 'A specification is stored under SPEC_ID/source.',
            'Use the path that FunctionsStore.put_spec returns.');
    end if;
    perform private.refuse_large(p_specs, 'The specifications', 8388608);
end
$$;

-- SECURITY DEFINER: as in mailboxes.sql.
create function public.ingest_message_v1(p_message jsonb, p_specs jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    mail public.messages;
    mail_id uuid;
    refusals jsonb;
    first_code text;
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_message, 'The message', 262144);
    perform private.require_specs(p_specs);
    -- Takes the mailbox's lock: of twenty deliveries of one mail the first is judged, the others find it here.
    perform private.move_cursor((p_message ->> 'mailbox_id')::uuid, p_message ->> 'history_id');
    mail := private.known_message(p_message);
    if mail.id is not null then
        return private.describe_intake(mail.id, 'duplicate', mail.reason);
    end if;
    mail := private.accepted_twin(p_message);
    if mail.id is not null then
        perform private.note_message(p_message, 'IGNORED', 'duplicate', null);
        return private.describe_intake(mail.id, 'duplicate', mail.reason);
    end if;
    if not exists (select from private.senders_of(p_message ->> 'sender')) then
        mail_id := private.note_message(p_message, 'REFUSED', 'unknown-sender', null);
        return private.describe_intake(mail_id, 'unknown-sender', 'unknown-sender');
    end if;
    -- The daily limit is counted under the sender's own lock: he may write to two mailboxes at once.
    perform pg_advisory_xact_lock(hashtextextended('sender:' || lower(p_message ->> 'sender'), 0));
    select jsonb_agg(jsonb_build_object('path', spec ->> 'name', 'line', null, 'column', null, 'code', why ->> 'code',
        'message', why ->> 'message') order by place), (array_agg(why ->> 'code' order by place))[1]
    into refusals, first_code
    from jsonb_array_elements(p_specs) with ordinality as given (spec, place)
    cross join lateral private.refusal_of(lower(p_message ->> 'sender'), spec, jsonb_array_length(p_specs)) as why
    where why is not null;
    if refusals is not null then
        mail_id := private.note_message(p_message, 'INVALID', first_code, refusals);
        perform private.answer_invalid(mail_id);
        return private.describe_intake(mail_id, first_code, first_code);
    end if;
    mail_id := private.note_message(p_message, 'ACCEPTED', 'accepted', null);
    select * into mail from public.messages where id = mail_id;
    -- The same file attached twice has the same id, and is built once.
    perform private.store_spec(mail, spec)
    from (select distinct on (given ->> 'id') given as spec from jsonb_array_elements(p_specs) as given) as distinct_specs;
    return private.describe_intake(mail_id, 'accepted', 'accepted');
end
$$;
revoke all on function public.ingest_message_v1(jsonb, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.ingest_message_v1(jsonb, jsonb) to aicd_functions;
