-- What a run may know of the runs before it: those of its own specification, and of them what was missing.

-- Newest first: [{run_id, sprint, attempt, result, status, finished_at, branch, commit, failure: {code, message}, failing:
-- [{id, status, reason}]}] of the run's own specification, finished ones only. p_query: words that must all occur in it;
-- empty for the newest. At most twenty. SECURITY DEFINER: a run's token reads no other run's row.
create function public.search_runs_v1(p_run_id uuid, p_query text default '', p_limit integer default 5) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
    run public.runs := private.require_runner(p_run_id, 'build');
begin
    return (
        select coalesce(jsonb_agg(found.told order by found.finished_at desc, found.id), '[]')
        from (
            select earlier.id, earlier.finished_at, told.told
            from public.runs as earlier
            join public.sprints on sprints.id = earlier.sprint_id
            cross join lateral (select jsonb_build_object('run_id', earlier.id, 'sprint', sprints.label,
                'attempt', earlier.attempt, 'result', earlier.result,
                'status', earlier.summary_json ->> 'status', 'finished_at', earlier.finished_at,
                'branch', earlier.branch, 'commit', earlier.commit_sha,
                'failure', case jsonb_typeof(coalesce(earlier.summary_json -> 'failure', earlier.summary_json -> 'error'))
                    when 'object' then jsonb_build_object(
                        'code', coalesce(earlier.summary_json -> 'failure', earlier.summary_json -> 'error') ->> 'code',
                        'message', left(coalesce(earlier.summary_json -> 'failure',
                            earlier.summary_json -> 'error') ->> 'message', 1000)) end,
                'failing', (
                    select coalesce(jsonb_agg(jsonb_build_object('id', criterion ->> 'id', 'status', criterion ->> 'status',
                        'reason', left(criterion ->> 'reason', 500))), '[]')
                    from jsonb_array_elements(case jsonb_typeof(earlier.summary_json #> '{verdict,criteria}')
                        when 'array' then earlier.summary_json #> '{verdict,criteria}' else '[]' end) as criterion
                    where criterion ->> 'status' <> 'passed')) as told) as told
            where earlier.spec_id = run.spec_id and earlier.id <> run.id and earlier.result is not null
                and not exists (
                    select from regexp_split_to_table(lower(left(coalesce(p_query, ''), 200)), '\s+') as word
                    where position(word in lower(told.told::text)) = 0)
            order by earlier.finished_at desc, earlier.id
            limit least(greatest(coalesce(p_limit, 5), 1), 20)) as found);
end
$$;
revoke all on function public.search_runs_v1(uuid, text, integer) from public, anon, authenticated, service_role;
grant execute on function public.search_runs_v1(uuid, text, integer) to aicd_runner;
