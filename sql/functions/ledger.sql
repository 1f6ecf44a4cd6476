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

-- Every entry counts in its day's sum, in the same transaction.
create function private.sum_up_day() returns trigger
language plpgsql set search_path = '' as $$
begin
    insert into private.daily_spending as known (project_id, day, requester, cost_usd)
    values (new.project_id, new.day, new.requester, new.cost_usd)
    on conflict (project_id, day, requester) do update set cost_usd = known.cost_usd + excluded.cost_usd;
    return null;
end
$$;
create trigger sum_up_day after insert on public.ledger
    for each row execute function private.sum_up_day();

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
        union all
        -- What came with an API key is by the key (author_of): no row of the allow-list speaks of it.
        select 'requester', budget.period, budget.limit_usd, api_keys.project_id
        from spec
        join public.api_keys on api_keys.id = private.uuid_of_path(substr(spec.created_by, 5) || '/')
            and spec.created_by like 'key:%'
        cross join lateral (values ('day', api_keys.budget_usd_day), ('month', api_keys.budget_usd_month))
            as budget (period, limit_usd)
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
            when 'project' then (
                select sum(cost_usd) from private.daily_spending where project_id = p_run.project_id and day >= since)
            when 'requester' then (
                select sum(cost_usd) from private.daily_spending
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

-- {left_usd, limits, spent_usd, run_open, spec_cancelled}: asked before each iteration; a run that is not open any more
-- has to stop, whatever is left. left_usd is null where no limit holds; spent_usd is this run's, whichever of its CI run's
-- attempts spent it. Scope build.
create function public.read_budget_v1(p_run_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_runner(p_run_id, 'build');
begin
    update public.runs set last_seen_at = now() where id = run.id and result is null and started_at is not null;
    return private.describe_budget(run) || jsonb_build_object('run_open', run.result is null,
        'spent_usd', (select coalesce(sum(cost_usd), 0) from public.ledger where run_id = run.id),
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

revoke all on function private.inherit_ledger(), private.sum_up_day(), private.policy_figure(jsonb, text), private.limits_of(public.runs),
    private.describe_budget(public.runs), private.no_room_for(public.runs, jsonb)
    from public, anon, authenticated, service_role;
