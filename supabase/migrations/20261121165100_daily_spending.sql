-- A limit of a project or a requester costs the same to ask for whatever was spent before: the ledger is summed up by day.

drop index public.idx_ledger_requester;

create table private.daily_spending (
    project_id uuid not null references public.projects (id) on delete restrict,
    day date not null,
    requester text not null,
    cost_usd numeric(20, 6) not null,
    primary key (project_id, day, requester)
);
-- Serves the limits of a requester.
create index idx_daily_spending_requester on private.daily_spending (requester, day);
alter table private.daily_spending enable row level security;
revoke all on table private.daily_spending from public, anon, authenticated, service_role;
insert into private.daily_spending (project_id, day, requester, cost_usd)
select project_id, day, requester, sum(cost_usd) from public.ledger group by project_id, day, requester;

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

-- The limits that hold for a run. Of several rows of the allow-list that let a requester in, each one's limit holds; one
-- that is for one project counts what he spent there. What other open runs have set apart and not yet spent is
-- `reserved_usd`; this run's own reservation is a limit of the run.
create or replace function private.limits_of(p_run public.runs)
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
    delete from private.daily_spending where isfinite(since) and day < since::date;
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

revoke all on function private.sum_up_day() from public, anon, authenticated, service_role;
create trigger sum_up_day after insert on public.ledger
    for each row execute function private.sum_up_day();
