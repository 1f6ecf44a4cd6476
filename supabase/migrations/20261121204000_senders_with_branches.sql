-- The allow-list: [{pattern, repo: null for every one, daily_limit, needs_approval, budget_usd_day, budget_usd_month}].
create or replace function public.list_senders_v1(p_repo text default null) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object('pattern', pattern, 'repo', repo, 'daily_limit', daily_limit,
        'needs_approval', needs_approval, 'budget_usd_day', budget_usd_day, 'budget_usd_month', budget_usd_month,
        'branches', branches) order by pattern, repo nulls first), '[]')
    from public.senders left join public.projects on projects.id = project_id
    where p_repo is null or project_id is null or lower(repo) = lower(p_repo)
$$;
