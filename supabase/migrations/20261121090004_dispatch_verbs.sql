-- The outbox's worker verbs. SECURITY DEFINER: as in mailboxes.sql.

-- Leases what is due, or whose lease ran out because its worker died. Two workers never get the same row.
create function public.claim_outbox_v1(p_kinds text[], p_limit integer, p_lease_seconds integer) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    claimed jsonb;
    worn record;
begin
    perform private.require_role('aicd_functions');
    -- Rows that took their last lease and never came back: their worker died each time.
    for worn in
        select id from public.outbox
        where state = 'PENDING' and kind = any (p_kinds) and attempts >= 8 and lease_expires_at < now()
        limit 20 for update skip locked
    loop
        perform private.bury(worn.id, 'The worker died or hung on this row, eight times.');
    end loop;
    with due as (
        select id from public.outbox
        where state = 'PENDING' and kind = any (p_kinds) and next_attempt_at <= now()
            and (lease_expires_at is null or lease_expires_at < now())
        order by next_attempt_at
        limit least(greatest(p_limit, 0), 100)
        for update skip locked
    ), leased as (
        update public.outbox
        set attempts = attempts + 1, lease_id = gen_random_uuid(),
            lease_expires_at = now() + make_interval(secs => least(greatest(p_lease_seconds, 1), 3600))
        from due where outbox.id = due.id
        returning outbox.*
    )
    select coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'payload', payload, 'attempts', attempts,
        'idempotency_key', idempotency_key, 'correlation_id', correlation_id, 'lease_id', lease_id)
        order by next_attempt_at, created_at), '[]')
    into claimed from leased;
    return claimed;
end
$$;
revoke all on function public.claim_outbox_v1(text[], integer, integer) from public, anon, authenticated, service_role;
grant execute on function public.claim_outbox_v1(text[], integer, integer) to aicd_functions;

-- Gives a pending row up. A run that can never be dispatched ends here, so that its requester hears of it.
create function private.bury(p_id uuid, p_error text) returns void
language plpgsql set search_path = '' as $$
declare
    dead public.outbox;
    run public.runs;
begin
    update public.outbox
    set state = 'DEAD', last_error = left(p_error, 4000), lease_id = null, lease_expires_at = null
    where id = p_id returning * into dead;
    perform private.audit('bury_outbox', 'outbox', dead.id::text, null,
        jsonb_build_object('kind', dead.kind, 'error', dead.last_error));
    if dead.kind = 'dispatch' then
        select * into run from public.runs where id = (dead.payload ->> 'run_id')::uuid for update;
        if run.id is not null and run.result is null and run.started_at is null then
            perform private.fail_run(run, 'dispatch-failed', 'The CI run could not be started: ' || dead.last_error);
        end if;
    end if;
end
$$;

-- False when the lease was lost: somebody else has the row by now. The same lease twice is true twice.
create function public.finish_outbox_v1(p_id uuid, p_lease_id uuid, p_result jsonb default null) returns boolean
language plpgsql security definer set search_path = '' as $$
declare
    taken public.outbox;
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_result, 'The result', 65536);
    select * into taken from public.outbox where id = p_id for update;
    if taken.lease_id is distinct from p_lease_id or p_lease_id is null or taken.state = 'DEAD' then
        return false;
    end if;
    -- lease_id stays: it is what makes the second call of the same worker true.
    update public.outbox set state = 'DONE', result = p_result, last_error = null, lease_expires_at = null
    where id = p_id and state = 'PENDING';
    return true;
end
$$;
revoke all on function public.finish_outbox_v1(uuid, uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.finish_outbox_v1(uuid, uuid, jsonb) to aicd_functions;

-- Waits 5 s, 10 s, 20 s … at most an hour, each time 50 to 150 % of it, and never less than the service asked for.
-- Dead after eight attempts. A lost lease changes nothing and answers how the row stands.
create function public.retry_outbox_v1(p_id uuid, p_lease_id uuid, p_error text,
    p_retry_after_seconds double precision default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    taken public.outbox;
    wait_seconds double precision;
begin
    perform private.require_role('aicd_functions');
    select * into taken from public.outbox where id = p_id for update;
    if taken.id is null then
        perform private.refuse(404, 'outbox-row-not-found', 'There is no such outbox row.', 'Claim rows before you retry.');
    end if;
    if taken.state = 'PENDING' and taken.lease_id = p_lease_id then
        if taken.attempts >= 8 then
            perform private.bury(p_id, p_error);
        else
            wait_seconds := greatest(least(5 * power(2, taken.attempts - 1), 3600) * (0.5 + random()),
                least(coalesce(p_retry_after_seconds, 0), 86400));
            update public.outbox
            set next_attempt_at = now() + make_interval(secs => wait_seconds), last_error = left(p_error, 4000),
                lease_id = null, lease_expires_at = null
            where id = p_id;
        end if;
    end if;
    return (select jsonb_build_object('dead', state = 'DEAD', 'next_attempt_at', next_attempt_at)
            from public.outbox where id = p_id);
end
$$;
revoke all on function public.retry_outbox_v1(uuid, uuid, text, double precision)
    from public, anon, authenticated, service_role;
grant execute on function public.retry_outbox_v1(uuid, uuid, text, double precision) to aicd_functions;

-- Dispatch: from a run's row to a CI run, and the end of runs that nobody finishes.
-- SECURITY DEFINER: as in mailboxes.sql.

create function private.lock_run(p_run_id uuid) returns public.runs
language plpgsql set search_path = '' as $$
declare
    found_run public.runs;
begin
    select * into found_run from public.runs where id = p_run_id for update;
    if found_run.id is null then
        perform private.refuse(404, 'run-not-found', 'There is no such run.', 'Check the run id.');
    end if;
    return found_run;
end
$$;

create function public.describe_run_v1(p_run_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
    described jsonb;
begin
    perform private.require_role('aicd_functions');
    select jsonb_build_object('run_id', runs.id, 'sprint_id', runs.sprint_id, 'spec_id', runs.spec_id,
        'correlation_id', runs.correlation_id, 'ci_run_id', runs.ci_run_id, 'ci_url', runs.ci_url,
        'started_at', runs.started_at, 'result', runs.result, 'sprint_label', sprints.label,
        'project', jsonb_build_object('id', projects.id, 'repo', projects.repo,
            'default_branch', projects.default_branch, 'workflow', projects.workflow))
    into described
    from public.runs
    join public.sprints on sprints.id = runs.sprint_id
    join public.projects on projects.id = runs.project_id
    where runs.id = p_run_id;
    if described is null then
        perform private.refuse(404, 'run-not-found', 'There is no such run.', 'Check the run id.');
    end if;
    return described;
end
$$;
revoke all on function public.describe_run_v1(uuid) from public, anon, authenticated, service_role;
grant execute on function public.describe_run_v1(uuid) to aicd_functions;

-- The first CI run that is bound stays; a later caller learns from the answer that his is one too many.
create function public.bind_run_v1(p_run_id uuid, p_ci_run_id text, p_url text default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs;
begin
    perform private.require_role('aicd_functions');
    run := private.lock_run(p_run_id);
    if coalesce(run.ci_run_id, p_ci_run_id) = p_ci_run_id then
        update public.runs
        set ci_run_id = p_ci_run_id, ci_url = coalesce(ci_url, p_url), bound_at = coalesce(bound_at, now())
        where id = p_run_id returning * into run;
    end if;
    return jsonb_build_object('ci_run_id', run.ci_run_id);
end
$$;
revoke all on function public.bind_run_v1(uuid, text, text) from public, anon, authenticated, service_role;
grant execute on function public.bind_run_v1(uuid, text, text) to aicd_functions;

-- Ends a run that can never be. A run that has its result keeps it.
create function public.abandon_run_v1(p_run_id uuid, p_code text, p_reason text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs;
begin
    perform private.require_role('aicd_functions');
    run := private.lock_run(p_run_id);
    if run.result is null then
        perform private.fail_run(run, p_code, p_reason);
    end if;
    return jsonb_build_object('result', coalesce(run.result, 'FAILED'));
end
$$;
revoke all on function public.abandon_run_v1(uuid, text, text) from public, anon, authenticated, service_role;
grant execute on function public.abandon_run_v1(uuid, text, text) to aicd_functions;

-- Ends runs that were bound or started and have been silent for too long; how many. A paused sprint's run is not dead.
create function public.close_dead_runs_v1(p_older_than_seconds integer) returns integer
language plpgsql security definer set search_path = '' as $$
declare
    silent public.runs;
    closed integer := 0;
begin
    perform private.require_role('aicd_functions');
    for silent in
        select runs.* from public.runs join public.sprints on sprints.id = runs.sprint_id
        where runs.result is null and sprints.state <> 'PAUSED'
            and greatest(runs.bound_at, runs.started_at, runs.last_seen_at)
                < now() - make_interval(secs => greatest(p_older_than_seconds, 1))
        limit 100 for update of runs skip locked
    loop
        perform private.fail_run(silent, 'run-died', 'The CI run stopped reporting and never finished.');
        closed := closed + 1;
    end loop;
    return closed;
end
$$;
revoke all on function public.close_dead_runs_v1(integer) from public, anon, authenticated, service_role;
grant execute on function public.close_dead_runs_v1(integer) to aicd_functions;

-- Notices: everything that notify needs to write one mail.

create function private.describe_spec(p_spec_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('id', specs.id, 'repo', repo, 'branch', branch, 'title', title, 'name', name,
        'format', format, 'sha', sha, 'created_by', created_by, 'created_at', created_at, 'sprints', (
            select coalesce(jsonb_agg(jsonb_build_object('id', sprints.id, 'label', label, 'position', position,
                'state', state) order by position), '[]')
            from public.sprints where sprints.spec_id = specs.id))
    from public.specs where specs.id = p_spec_id
$$;

create function private.describe_finished_run(p_run_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('id', id, 'attempt', attempt, 'ci_run_id', ci_run_id, 'ci_url', ci_url,
        'started_at', started_at, 'finished_at', finished_at, 'result', result, 'summary_json', summary_json,
        'branch', branch, 'commit', commit_sha, 'pull_request', pull_request)
    from public.runs where id = p_run_id
$$;

-- `recipient` is null where no mail began the work. SECURITY DEFINER: as in mailboxes.sql.
create function public.describe_notice_v1(p_outbox_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
    work public.outbox;
    run public.runs;
    spec public.specs;
    mail public.messages;
begin
    perform private.require_role('aicd_functions');
    select * into work from public.outbox where id = p_outbox_id and kind = 'notify';
    if work.id is null then
        perform private.refuse(404, 'notice-not-found', 'There is no such notice.', 'Claim rows of kind notify.');
    end if;
    select * into run from public.runs where id = (work.payload ->> 'run_id')::uuid;
    select * into spec from public.specs where id = coalesce((work.payload ->> 'spec_id')::uuid, run.spec_id);
    select * into mail from public.messages where id = coalesce((work.payload ->> 'message_id')::uuid, spec.message_id);
    return jsonb_build_object('template', work.payload ->> 'template', 'idempotency_key', work.idempotency_key,
        'correlation_id', work.correlation_id, 'message_id', mail.id,
        'mailbox_email', (select email from public.mailboxes where id = mail.mailbox_id),
        'recipient', mail.sender, 'subject', mail.subject, 'gmail_thread_id', mail.gmail_thread_id,
        'rfc_message_id', mail.rfc_message_id, 'references', mail.mail_references, 'reason', mail.reason,
        'problems', coalesce(mail.problems, '[]'), 'spec', private.describe_spec(spec.id),
        'sprint', (select jsonb_build_object('id', id, 'label', label, 'position', position, 'state', state)
            from public.sprints where id = run.sprint_id),
        'run', private.describe_finished_run(run.id),
        'artifacts', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'name', name,
            'content_type', content_type, 'size', size, 'storage_path', storage_path) order by created_at, id), '[]')
            from public.artifacts where run_id = run.id));
end
$$;
revoke all on function public.describe_notice_v1(uuid) from public, anon, authenticated, service_role;
grant execute on function public.describe_notice_v1(uuid) to aicd_functions;
