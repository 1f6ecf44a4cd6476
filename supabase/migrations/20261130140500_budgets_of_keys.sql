-- An API key may have a budget of its own: what it hands in is by the key, of whom no row of the allow-list speaks.

alter table public.api_keys
    add column budget_usd_day numeric(14, 6) check (budget_usd_day >= 0 and budget_usd_day < 'NaN'),
    add column budget_usd_month numeric(14, 6) check (budget_usd_month >= 0 and budget_usd_month < 'NaN');

create or replace function private.describe_api_key(p_key public.api_keys) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('id', p_key.id, 'organisation_id', p_key.organisation_id, 'project_id', p_key.project_id,
        'repo', (select repo from public.projects where id = p_key.project_id), 'name', p_key.name,
        'prefix', p_key.prefix, 'scopes', p_key.scopes, 'created_by', p_key.created_by, 'created_at', p_key.created_at,
        'last_used_at', p_key.last_used_at, 'expires_at', p_key.expires_at, 'revoked_at', p_key.revoked_at,
        'budget_usd_day', p_key.budget_usd_day, 'budget_usd_month', p_key.budget_usd_month)
$$;

-- p_key: {name, scopes, repo or organisation (a name) or project_id or organisation_id, expires_in_seconds?,
-- budget_usd_day?, budget_usd_month?} → the key's row with `key`, which is shown this once and kept nowhere.
create or replace function public.create_api_key_v1(p_key jsonb) returns jsonb
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
