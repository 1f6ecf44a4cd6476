-- Money: a ledger of what was spent, limits, reservations, and work that waits for its turn.

alter table public.senders
    add column budget_usd_day numeric(14, 6) check (budget_usd_day >= 0),
    add column budget_usd_month numeric(14, 6) check (budget_usd_month >= 0);
alter table public.runs
    add column reserved_usd numeric(14, 6) check (reserved_usd >= 0),
    add column reserved_at timestamptz;
alter table public.retention_policies
    drop constraint retention_policies_known,
    drop constraint retention_policies_long_enough,
    add constraint retention_policies_known check ((kind || ':' || name) in ('table:status_events', 'table:agent_executions',
        'table:outbox', 'table:messages', 'table:audit_log', 'bucket:artifacts', 'bucket:specs', 'table:ledger')),
    add constraint retention_policies_long_enough check (keep_days >= case name
        when 'audit_log' then 90 when 'ledger' then 62 when 'messages' then 30 when 'status_events' then 1
        when 'agent_executions' then 1 else 8 end);

-- What was spent, call by call. It outlives what it was spent on: a month's budget is counted for a month, whatever
-- retention has removed meanwhile.

create table public.ledger (
    -- Made up by the one who spends, so that a repeated call is one entry.
    id uuid primary key,
    run_id uuid references public.runs (id) on delete set null,
    sprint_id uuid references public.sprints (id) on delete set null,
    spec_id uuid references public.specs (id) on delete set null,
    project_id uuid not null references public.projects (id) on delete restrict,
    -- Who sent the specification.
    requester text not null check (length(requester) <= 1000),
    -- In UTC, as all periods of a budget.
    day date not null default (now() at time zone 'utc')::date,
    -- planner, builder, and whoever else spends.
    kind text not null check (length(kind) between 1 and 100),
    model text not null default '' check (length(model) <= 200),
    input_tokens bigint not null default 0 check (input_tokens >= 0),
    output_tokens bigint not null default 0 check (output_tokens >= 0),
    cache_read_tokens bigint not null default 0 check (cache_read_tokens >= 0),
    cache_write_tokens bigint not null default 0 check (cache_write_tokens >= 0),
    cost_usd numeric(14, 6) not null default 0 check (cost_usd >= 0),
    created_at timestamptz not null default now()
);
-- Policy column first; then what a project has spent in a day or a month.
create index idx_ledger_project_id on public.ledger (project_id, day, cost_usd);
-- Serves the limits of a requester.
create index idx_ledger_requester on public.ledger (requester, day, cost_usd);
-- Serve the limits of a run, a sprint and a specification; foreign keys.
create index idx_ledger_run_id on public.ledger (run_id);
create index idx_ledger_sprint_id on public.ledger (sprint_id);
create index idx_ledger_spec_id on public.ledger (spec_id);
alter table public.ledger enable row level security;
revoke all on table public.ledger from public, anon, authenticated, service_role;


-- Lets an address, or a domain as *@example.com, target one repository, or every one when p_repo is null.
-- p_options: {daily_limit?, needs_approval?, budget_usd_day?, budget_usd_month?}; what is not said stays as it is, and a
-- budget of null is none.
create or replace function public.allow_sender_v1(p_pattern text, p_repo text, p_options jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    target uuid;
    made public.senders;
begin
    select id into target from public.projects where lower(repo) = lower(p_repo);
    if p_repo is not null and target is null then
        perform private.refuse(404, 'project-not-found', format('There is no project for the repository %s.', p_repo),
            'Create it first: create_project_v1.');
    end if;
    insert into public.senders as known (pattern, project_id, daily_limit, needs_approval, budget_usd_day,
        budget_usd_month)
    values (lower(p_pattern), target, coalesce((p_options ->> 'daily_limit')::integer, 100),
        coalesce((p_options ->> 'needs_approval')::boolean, false), (p_options ->> 'budget_usd_day')::numeric,
        (p_options ->> 'budget_usd_month')::numeric)
    on conflict (pattern, project_id) do update
    set daily_limit = coalesce((p_options ->> 'daily_limit')::integer, known.daily_limit),
        needs_approval = coalesce((p_options ->> 'needs_approval')::boolean, known.needs_approval),
        budget_usd_day = case when p_options ? 'budget_usd_day' then excluded.budget_usd_day else known.budget_usd_day end,
        budget_usd_month = case when p_options ? 'budget_usd_month'
            then excluded.budget_usd_month else known.budget_usd_month end
    returning * into made;
    perform private.audit('allow_sender', 'senders', made.id::text, target,
        jsonb_build_object('pattern', made.pattern, 'options', p_options));
    return jsonb_build_object('sender_id', made.id, 'pattern', made.pattern, 'project_id', made.project_id,
        'daily_limit', made.daily_limit, 'needs_approval', made.needs_approval, 'budget_usd_day', made.budget_usd_day,
        'budget_usd_month', made.budget_usd_month);
end
$$;

-- Rows without objects; how many of each table. Where everything is kept, isfinite spares the table being read.
create or replace function private.expire_rows(p_limit integer) returns jsonb
language plpgsql set search_path = '' as $$
declare
    gone jsonb := '{}';
    counted integer;
    since timestamptz := private.kept_since('table', 'status_events');
begin
    delete from public.status_events where id in (
        select id from public.status_events where isfinite(since) and created_at < since
        order by created_at limit p_limit);
    get diagnostics counted = row_count;
    gone := gone || jsonb_build_object('status_events', counted);
    since := private.kept_since('table', 'agent_executions');
    delete from public.agent_executions where id in (
        select id from public.agent_executions where isfinite(since) and created_at < since limit p_limit);
    get diagnostics counted = row_count;
    gone := gone || jsonb_build_object('agent_executions', counted);
    -- Dead letters wait for an operator. The work order of a run that is open keeps a second one from being written.
    since := private.kept_since('table', 'outbox');
    delete from public.outbox where id in (
        select id from public.outbox
        where isfinite(since) and state = 'DONE' and done_at < since and not exists (
            select from public.runs where runs.id = (payload ->> 'run_id')::uuid and result is null)
        limit p_limit);
    get diagnostics counted = row_count;
    gone := gone || jsonb_build_object('outbox', counted);
    -- The mail of a specification is kept as long as the specification.
    since := private.kept_since('table', 'messages');
    delete from public.messages where id in (
        select id from public.messages
        where isfinite(since) and created_at < since
            and not exists (select from public.specs where specs.message_id = messages.id)
        limit p_limit);
    get diagnostics counted = row_count;
    gone := gone || jsonb_build_object('messages', counted);
    since := private.kept_since('table', 'ledger');
    delete from public.ledger where id in (
        select id from public.ledger where isfinite(since) and created_at < since limit p_limit);
    get diagnostics counted = row_count;
    gone := gone || jsonb_build_object('ledger', counted);
    since := private.kept_since('table', 'audit_log');
    delete from public.audit_log where id in (
        select id from public.audit_log where isfinite(since) and created_at < since limit p_limit);
    get diagnostics counted = row_count;
    if counted > 0 then
        perform private.audit('expire_rows', 'audit_log', 'audit_log', null, jsonb_build_object('rows', counted));
    end if;
    return gone || jsonb_build_object('audit_log', counted);
end
$$;

-- The time has not come: the row is due again in p_seconds, a day at most, and this attempt does not count, for nothing
-- was attempted → {postponed, next_attempt_at}. A lost lease changes nothing.
create function public.postpone_outbox_v1(p_id uuid, p_lease_id uuid, p_seconds double precision, p_reason text)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    taken public.outbox;
    is_mine boolean;
begin
    perform private.require_role('aicd_functions');
    select * into taken from public.outbox where id = p_id for update;
    if taken.id is null then
        perform private.refuse(404, 'outbox-row-not-found', 'There is no such outbox row.', 'Claim rows before you postpone.');
    end if;
    is_mine := taken.state = 'PENDING' and taken.lease_id is not distinct from p_lease_id and p_lease_id is not null;
    if is_mine then
        update public.outbox
        set next_attempt_at = now() + make_interval(secs => least(greatest(p_seconds, 1), 86400)),
            attempts = greatest(attempts - 1, 0), last_error = left(p_reason, 4000), lease_id = null, lease_expires_at = null
        where id = p_id returning * into taken;
    end if;
    return jsonb_build_object('postponed', is_mine, 'next_attempt_at', taken.next_attempt_at);
end
$$;
revoke all on function public.postpone_outbox_v1(uuid, uuid, double precision, text)
    from public, anon, authenticated, service_role;
grant execute on function public.postpone_outbox_v1(uuid, uuid, double precision, text) to aicd_functions;


-- Money: what was spent, what is set apart for runs that are under way, and what is left. SECURITY DEFINER: as in
-- mailboxes.sql.

create function private.inherit_ledger() returns trigger
language plpgsql set search_path = '' as $$
begin
    select runs.sprint_id, runs.spec_id, runs.project_id, specs.created_by
    into new.sprint_id, new.spec_id, new.project_id, new.requester
    from public.runs join public.specs on specs.id = runs.spec_id where runs.id = new.run_id;
    return new;
end
$$;
create trigger inherit_ledger before insert on public.ledger
    for each row execute function private.inherit_ledger();

-- A figure of a project's policy; null where it says nothing. What is there and is no figure counts as nothing at all:
-- a limit that cannot be read must not be no limit.
create function private.policy_figure(p_policy jsonb, p_name text) returns numeric
language sql immutable parallel safe set search_path = '' as $$
    select case
        when p_policy ->> p_name is null then null
        when p_policy ->> p_name ~ '^[0-9]{1,12}(\.[0-9]{1,12})?$' then (p_policy ->> p_name)::numeric
        else 0
    end
$$;

-- The limits that hold for a run. Of several rows of the allow-list that let a requester in, each one's limit holds; one
-- that is for one project counts what he spent there. What other open runs have set apart and not yet spent is
-- `reserved_usd`; this run's own reservation is a limit of the run.
create function private.limits_of(p_run public.runs)
returns table (scope text, period text, limit_usd numeric, spent_usd numeric, reserved_usd numeric)
language sql stable set search_path = '' as $$
    with spec as (
        select created_by from public.specs where id = p_run.spec_id
    ), budgets as (
        select named.scope, named.period, case named.scope
                when 'run' then least(private.policy_figure(policy, named.name), p_run.reserved_usd)
                else private.policy_figure(policy, named.name) end as limit_usd, p_run.project_id as only_project
        from public.projects
        cross join (values ('run', 'run', 'budget_usd_run'), ('sprint', 'total', 'budget_usd_sprint'),
            ('spec', 'total', 'budget_usd_spec'), ('project', 'day', 'budget_usd_day'),
            ('project', 'month', 'budget_usd_month')) as named (scope, period, name)
        where projects.id = p_run.project_id
        union all
        select 'requester', budget.period, budget.limit_usd, sender.project_id
        from spec
        cross join lateral private.senders_of(spec.created_by) as sender
        cross join lateral (values ('day', sender.budget_usd_day), ('month', sender.budget_usd_month))
            as budget (period, limit_usd)
        where coalesce(sender.project_id, p_run.project_id) = p_run.project_id
    ), bounded as (
        select budgets.*, case period when 'day' then today when 'month' then date_trunc('month', today)::date end as since
        from budgets cross join (values ((now() at time zone 'utc')::date)) as clock (today)
        where budgets.limit_usd is not null
    ), held as (
        select runs.sprint_id, runs.spec_id, runs.project_id, specs.created_by, greatest(0, runs.reserved_usd - coalesce((
            select sum(cost_usd) from public.ledger where ledger.run_id = runs.id), 0)) as usd
        from public.runs join public.specs on specs.id = runs.spec_id
        where runs.result is null and runs.reserved_usd is not null and runs.id <> p_run.id
    )
    select bounded.scope, bounded.period, bounded.limit_usd, coalesce(case bounded.scope
            when 'run' then (select sum(cost_usd) from public.ledger where run_id = p_run.id)
            when 'sprint' then (select sum(cost_usd) from public.ledger where sprint_id = p_run.sprint_id)
            when 'spec' then (select sum(cost_usd) from public.ledger where spec_id = p_run.spec_id)
            when 'project' then (select sum(cost_usd) from public.ledger where project_id = p_run.project_id and day >= since)
            when 'requester' then (
                select sum(cost_usd) from public.ledger
                where requester = (select created_by from spec) and day >= since
                    and project_id = coalesce(only_project, project_id))
        end, 0), coalesce(case bounded.scope
            when 'sprint' then (select sum(usd) from held where held.sprint_id = p_run.sprint_id)
            when 'spec' then (select sum(usd) from held where held.spec_id = p_run.spec_id)
            when 'project' then (select sum(usd) from held where held.project_id = p_run.project_id)
            when 'requester' then (
                select sum(usd) from held
                where held.created_by = (select created_by from spec)
                    and held.project_id = coalesce(only_project, held.project_id))
        end, 0)
    from bounded
$$;

-- {left_usd: null where no limit holds, limits: [{scope, period, limit_usd, spent_usd, reserved_usd, left_usd}]}
create function private.describe_budget(p_run public.runs) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('left_usd', case when count(*) > 0 then greatest(0, min(left_usd)) end, 'limits', coalesce(jsonb_agg(jsonb_build_object(
        'scope', scope, 'period', period, 'limit_usd', limit_usd, 'spent_usd', spent_usd, 'reserved_usd', reserved_usd,
        'left_usd', left_usd) order by left_usd, scope, period), '[]'))
    from (select limits.*, limit_usd - spent_usd - reserved_usd as left_usd from private.limits_of(p_run) as limits) as found
$$;

-- One call's cost: {id, kind, model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_usd}
-- → {id, left_usd}. The same id is one entry. Taken of a run that has ended, too: what was spent was spent. Scope build.
create function public.record_cost_v1(p_run_id uuid, p_entry jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_runner(p_run_id, 'build');
begin
    perform private.refuse_large(p_entry, 'The entry', 16384);
    if p_entry ->> 'id' is null or p_entry ->> 'cost_usd' is null or p_entry ->> 'kind' is null then
        perform private.refuse(400, 'bad-entry', 'An entry of the ledger has an id, a kind and a cost.',
            'Hand over {id, kind, cost_usd, model?, input_tokens?, …}.');
    end if;
    if run.started_at is null then
        perform private.refuse(409, 'run-not-started', 'This run was not started.', 'Call start_run_v1 first.');
    end if;
    insert into public.ledger (id, run_id, kind, model, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens, cost_usd)
    select given.id, run.id, given.kind, coalesce(given.model, ''), coalesce(given.input_tokens, 0),
        coalesce(given.output_tokens, 0), coalesce(given.cache_read_tokens, 0), coalesce(given.cache_write_tokens, 0),
        given.cost_usd
    from jsonb_to_record(p_entry) as given (id uuid, kind text, model text, input_tokens bigint, output_tokens bigint,
        cache_read_tokens bigint, cache_write_tokens bigint, cost_usd numeric)
    on conflict (id) do nothing;
    if not exists (select from public.ledger where id = (p_entry ->> 'id')::uuid and run_id = run.id) then
        perform private.refuse(409, 'id-taken', 'This entry id is in use.', 'Make up a new uuid.');
    end if;
    update public.runs set last_seen_at = now() where id = run.id and result is null;
    return jsonb_build_object('id', p_entry -> 'id', 'left_usd', private.describe_budget(run) -> 'left_usd');
end
$$;
revoke all on function public.record_cost_v1(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.record_cost_v1(uuid, jsonb) to aicd_runner;

-- {left_usd, limits, run_open, spec_cancelled}: asked before each iteration; a run that is not open any more has to
-- stop, whatever is left. left_usd is null where no limit holds. Scope build.
create function public.read_budget_v1(p_run_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_runner(p_run_id, 'build');
begin
    update public.runs set last_seen_at = now() where id = run.id and result is null and started_at is not null;
    return private.describe_budget(run) || jsonb_build_object('run_open', run.result is null,
        'spec_cancelled', exists (select from public.sprints where id = run.sprint_id and state = 'CANCELLED'));
end
$$;
revoke all on function public.read_budget_v1(uuid) from public, anon, authenticated, service_role;
grant execute on function public.read_budget_v1(uuid) to aicd_runner;

-- Why a run cannot be begun now although there is money: {code, reason}; null when it can. Counted are open runs that
-- were let go or have begun; with a label, those of every project that says the same `runner_label`.
create function private.no_room_for(p_run public.runs, p_policy jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    most numeric := private.policy_figure(p_policy, 'max_parallel_runs');
    most_on_label numeric := private.policy_figure(p_policy, 'max_parallel_runs_on_label');
    label text := p_policy ->> 'runner_label';
begin
    if (select count(*) from public.runs
        where project_id = p_run.project_id and id <> p_run.id and result is null
            and (reserved_at is not null or started_at is not null)) >= most then
        return jsonb_build_object('code', 'too-many-runs', 'reason', format(
            'The project has %s runs at a time, and as many are under way.', most));
    end if;
    if label is not null and (
        select count(*) from public.runs join public.projects on projects.id = runs.project_id
        where policy ->> 'runner_label' = label and runs.id <> p_run.id and result is null
            and (reserved_at is not null or started_at is not null)) >= most_on_label then
        return jsonb_build_object('code', 'label-busy', 'reason', format(
            'Runners with the label %s have %s runs at a time, and as many are under way.', label, most_on_label));
    end if;
    return null;
end
$$;

-- Asked before a CI run is begun → {outcome, reserved_usd, code, reason, retry_after_seconds}.
-- reserved: go on; reserved_usd is set apart until the run ends (null where no limit holds). It is the project's
-- budget_usd_run, else p_max_usd, or what is left of a limit that is nearly used up.
-- wait: ask again later; other runs hold the places or the money. refused: the money is spent.
-- What is spent and what is reserved never exceed a limit together: whoever shares one asks one after the other.
create function public.reserve_budget_v1(p_run_id uuid, p_max_usd numeric) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    -- A run that may not even spend this is not worth a runner.
    least_usd constant numeric := 0.05;
    run public.runs;
    policy jsonb;
    no_room jsonb;
    wanted numeric;
    tightest record;
    left_usd numeric;
begin
    perform private.require_role('aicd_functions');
    if p_max_usd is null or p_max_usd <= 0 then
        perform private.refuse(400, 'bad-budget', 'What a run may cost is more than nothing.', 'Hand over a number of dollars.');
    end if;
    select * into run from public.runs where id = p_run_id;
    select projects.policy into policy from public.projects where id = run.project_id;
    -- One lock of each kind, the kinds in this order, before the run's own.
    perform pg_advisory_xact_lock(hashtextextended('budget:project:' || run.project_id, 0));
    perform pg_advisory_xact_lock(hashtextextended('budget:label:' || (policy ->> 'runner_label'), 0));
    perform pg_advisory_xact_lock(hashtextextended('budget:requester:' || created_by, 0))
    from public.specs where id = run.spec_id;
    run := private.lock_run(p_run_id);
    if run.result is not null then
        return jsonb_build_object('outcome', 'refused', 'reserved_usd', null, 'code', 'run-finished',
            'reason', format('This run has ended as %s.', run.result), 'retry_after_seconds', null);
    end if;
    if run.reserved_at is not null then
        return jsonb_build_object('outcome', 'reserved', 'reserved_usd', run.reserved_usd, 'code', null, 'reason', null,
            'retry_after_seconds', null);
    end if;
    no_room := private.no_room_for(run, policy);
    if no_room is not null then
        return no_room || jsonb_build_object('outcome', 'wait', 'reserved_usd', null, 'retry_after_seconds', 30);
    end if;
    wanted := coalesce(private.policy_figure(policy, 'budget_usd_run'), p_max_usd);
    select limits.*, limit_usd - limits.spent_usd as unspent_usd into tightest from private.limits_of(run) as limits
    order by limit_usd - limits.spent_usd, scope, period limit 1;
    if tightest.scope is null then
        wanted := null;
    else
        select min(limit_usd - limits.spent_usd - limits.reserved_usd) into left_usd from private.limits_of(run) as limits;
        if tightest.unspent_usd < least(least_usd, wanted) or wanted <= 0 then
            return jsonb_build_object('outcome', 'refused', 'reserved_usd', null, 'code', 'budget-exceeded',
                'reason', format('The budget of this %s (%s USD%s) is used up: %s USD were spent.', tightest.scope,
                    round(tightest.limit_usd, 2), case tightest.period when 'day' then ' a day'
                        when 'month' then ' a month' else '' end, round(tightest.spent_usd, 2)),
                'retry_after_seconds', null);
        end if;
        -- Less than wanted only where less is left for good; what others hold may come free.
        wanted := least(wanted, tightest.unspent_usd);
        if left_usd < wanted then
            return jsonb_build_object('outcome', 'wait', 'reserved_usd', null, 'code', 'budget-reserved',
                'reason', 'Other runs have set apart what is left of the budget.', 'retry_after_seconds', 60);
        end if;
    end if;
    update public.runs set reserved_usd = wanted, reserved_at = now() where id = run.id;
    return jsonb_build_object('outcome', 'reserved', 'reserved_usd', wanted, 'code', null, 'reason', null,
        'retry_after_seconds', null);
end
$$;
revoke all on function public.reserve_budget_v1(uuid, numeric) from public, anon, authenticated, service_role;
grant execute on function public.reserve_budget_v1(uuid, numeric) to aicd_functions;

revoke all on function private.inherit_ledger(), private.policy_figure(jsonb, text), private.limits_of(public.runs),
    private.describe_budget(public.runs), private.no_room_for(public.runs, jsonb)
    from public, anon, authenticated, service_role;


-- Who sees what was spent. Nobody writes it but record_cost_v1.

grant select on table public.ledger to aicd_runner, authenticated;

create policy "members read the ledger of their projects" on public.ledger for select to authenticated
    using (project_id = any (array(select private.my_project_ids())));

create policy "a runner reads the ledger of its run" on public.ledger for select to aicd_runner
    using ((select private.token_is_live()) and project_id = (select private.claimed_project_id())
        and run_id = coalesce((select private.claimed_run_id()), run_id));

