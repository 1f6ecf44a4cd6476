-- A page of specifications costs what a page costs, however many there are.

-- Serves the filter by state: the few sprints that wait or run.
create index idx_sprints_state on public.sprints (project_id, state);

-- Newest first: [{id, project_id, repo, branch, name, title, format, sha, size, created_by, created_at, state,
-- sprints: [{id, label, position, state}]}]. p_filter: {repo, state, created_after, created_before, created_by, sha,
-- before_created_at, before_id}, each optional; the last two are the key of the last row that the caller has. Any
-- project that the caller sees, or those of p_project_ids among them. At most 200 a page.
create or replace function public.search_specs_v1(p_filter jsonb default '{}', p_limit integer default 50,
    p_project_ids uuid[] default null) returns jsonb
language plpgsql stable set search_path = '' set plan_cache_mode = 'force_custom_plan' as $$
declare
    wanted uuid[] := array(
        select id from public.projects
        where (p_project_ids is null or id = any (p_project_ids))
            and (p_filter ->> 'repo' is null or lower(repo) = lower(p_filter ->> 'repo')));
    before_created_at timestamptz := coalesce((p_filter ->> 'before_created_at')::timestamptz, 'infinity');
    before_id uuid := coalesce((p_filter ->> 'before_id')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    created_after timestamptz := coalesce((p_filter ->> 'created_after')::timestamptz, '-infinity');
    created_until timestamptz := least(before_created_at, (p_filter ->> 'created_before')::timestamptz);
    most integer := least(greatest(coalesce(p_limit, 50), 1), 200);
begin
    return (
        select coalesce(jsonb_agg(to_jsonb(page) || to_jsonb(rolled) order by page.created_at desc, page.id), '[]')
        from (
            -- A page of each project by its index, and the newest of those: what lies deeper is not read. Which filters
            -- there are is known when the plan is made (plan_cache_mode).
            select found.*
            from unnest(wanted) as project (id)
            cross join lateral (
                select specs.id, project_id, repo, branch, name, title, format, sha, size, created_by, created_at
                from public.specs
                where project_id = project.id and created_at > created_after and created_at <= created_until
                    and (created_at < before_created_at or specs.id > before_id)
                    and (p_filter ->> 'created_by' is null or created_by = lower(p_filter ->> 'created_by'))
                    and (p_filter ->> 'sha' is null or sha = p_filter ->> 'sha')
                    -- A specification's state is one of its sprints'.
                    and (p_filter ->> 'state' is null or specs.id in (
                            select spec_id from public.sprints
                            where sprints.project_id = any (wanted) and state = p_filter ->> 'state')
                        and private.state_of(array(select state from public.sprints where spec_id = specs.id))
                            = p_filter ->> 'state')
                order by created_at desc, specs.id
                limit most) as found
            order by created_at desc, id
            limit most) as page
        cross join lateral (
            select private.state_of(array_agg(sprints.state)) as state,
                coalesce(jsonb_agg(jsonb_build_object('id', sprints.id, 'label', sprints.label,
                    'position', sprints.position, 'state', sprints.state) order by sprints.position), '[]') as sprints
            from public.sprints where sprints.spec_id = page.id) as rolled);
end
$$;
