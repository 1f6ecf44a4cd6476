-- What the API shows. Invoker rights: a member comes with his own token, and the policies say which rows there are. For
-- callers without a token of their own there are search_specs_for_v1 and show_spec_for_v1, which look up what they may.

-- One word for a whole specification: what a person would want to know first.
create function private.state_of(p_states text[]) returns text
language sql immutable parallel safe set search_path = '' as $$
    select coalesce(
        (select word
         from unnest(array['NEEDS_INPUT', 'NEEDS_APPROVAL', 'RUNNING', 'PAUSED', 'FAILED', 'PLANNED', 'CANCELLED'])
             with ordinality as listed (word, place)
         where word = any (p_states) order by place limit 1),
        'DONE')
$$;

-- What a sprint waits to be told: [{id, text, blocking, asked_at}], the last round that was asked; none where it does not wait.
create function private.open_questions(p_sprint public.sprints) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object('id', asked -> 'id', 'text', asked -> 'text',
        'blocking', coalesce(asked -> 'blocking', 'true'), 'asked_at', asked -> 'asked_at') order by place), '[]')
    from jsonb_array_elements(case p_sprint.state when 'NEEDS_INPUT' then p_sprint.questions_json else '[]' end)
        with ordinality as listed (asked, place)
    where asked -> 'asked_at' = p_sprint.questions_json -> -1 -> 'asked_at'
$$;

-- Newest first: [{id, project_id, repo, branch, name, title, format, sha, size, created_by, created_at, state,
-- sprints: [{id, label, position, state}]}]. p_filter: {repo, state, created_after, created_before, created_by, sha,
-- before_created_at, before_id}, each optional; the last two are the key of the last row that the caller has. Any
-- project that the caller sees, or those of p_project_ids among them. At most 200 a page.
create function public.search_specs_v1(p_filter jsonb default '{}', p_limit integer default 50,
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
revoke all on function public.search_specs_v1(jsonb, integer, uuid[]) from public, anon, authenticated, service_role;
grant execute on function public.search_specs_v1(jsonb, integer, uuid[]) to authenticated;

-- A specification's page, null where there is none to see: what search_specs_v1 has of it, with `dod`, `questions`
-- and `open_questions` in each sprint, and its newest fifty runs [{id, sprint_id, attempt, ci_run_id, ci_url, created_at, started_at,
-- finished_at, result, branch, commit, pull_request, verdict, error}], their newest two hundred artifacts and the first
-- two hundred events.
create function public.show_spec_v1(p_spec_id uuid, p_project_ids uuid[] default null) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    spec public.specs;
    states text[];
    of_sprints jsonb;
    run_ids uuid[];
    of_runs jsonb;
begin
    select * into spec from public.specs
    where id = p_spec_id and (p_project_ids is null or project_id = any (p_project_ids));
    if spec.id is null then
        return null;
    end if;
    select array_agg(state), coalesce(jsonb_agg(jsonb_build_object('id', id, 'label', label, 'position', position,
        'state', state, 'dod', dod_json, 'resume_at', resume_at,
        'questions', coalesce(to_jsonb(sprints) -> 'questions_json', '[]'),
        'open_questions', private.open_questions(sprints)) order by position), '[]')
    into states, of_sprints
    from public.sprints where spec_id = spec.id;
    select array_agg(newest.id), coalesce(jsonb_agg(jsonb_build_object('id', id, 'sprint_id', sprint_id,
        'attempt', attempt, 'ci_run_id', ci_run_id, 'ci_url', ci_url, 'created_at', created_at,
        'started_at', started_at, 'finished_at', finished_at, 'result', result, 'branch', branch, 'commit', commit_sha,
        'pull_request', pull_request, 'verdict', summary_json -> 'verdict',
        'error', coalesce(summary_json -> 'error', summary_json -> 'failure')) order by created_at desc, id), '[]')
    into run_ids, of_runs
    from (select * from public.runs where spec_id = spec.id order by created_at desc, id limit 50) as newest;
    return jsonb_build_object('id', spec.id, 'project_id', spec.project_id, 'repo', spec.repo, 'branch', spec.branch,
        'name', spec.name, 'title', spec.title, 'format', spec.format, 'sha', spec.sha, 'size', spec.size,
        'created_by', spec.created_by, 'created_at', spec.created_at, 'state', private.state_of(states),
        'sprints', of_sprints, 'runs', of_runs,
        'artifacts', (
            select coalesce(jsonb_agg(to_jsonb(listed) - 'project_id' order by listed.created_at desc, listed.id), '[]')
            from (select * from public.artifacts where run_id = any (run_ids)
                  order by created_at desc, id limit 200) as listed),
        'events', (
            select coalesce(jsonb_agg(jsonb_build_object('id', id, 'run_id', run_id, 'phase', phase,
                'message', message, 'created_at', created_at) order by created_at, id), '[]')
            from (select * from public.status_events where spec_id = spec.id
                  order by created_at, id limit 200) as first_ones));
end
$$;
revoke all on function public.show_spec_v1(uuid, uuid[]) from public, anon, authenticated, service_role;
grant execute on function public.show_spec_v1(uuid, uuid[]) to authenticated;

-- The same two for a caller who has proven himself to the function: p_caller as in submissions.sql. SECURITY DEFINER: as
-- in mailboxes.sql.
create function public.search_specs_for_v1(p_caller jsonb, p_filter jsonb, p_limit integer) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    return public.search_specs_v1(p_filter, p_limit, array(select private.projects_of_caller(p_caller, 'specs:read')));
end
$$;
revoke all on function public.search_specs_for_v1(jsonb, jsonb, integer) from public, anon, authenticated, service_role;
grant execute on function public.search_specs_for_v1(jsonb, jsonb, integer) to aicd_functions;

create function public.show_spec_for_v1(p_caller jsonb, p_spec_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    perform private.require_role('aicd_functions');
    return public.show_spec_v1(p_spec_id, array(select private.projects_of_caller(p_caller, 'specs:read')));
end
$$;
revoke all on function public.show_spec_for_v1(jsonb, uuid) from public, anon, authenticated, service_role;
grant execute on function public.show_spec_for_v1(jsonb, uuid) to aicd_functions;

revoke all on function private.state_of(text[]), private.open_questions(public.sprints) from public, anon, authenticated, service_role;
