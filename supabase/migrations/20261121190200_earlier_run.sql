-- A report says what became of the figures since an earlier run.

-- The figures of one earlier run that passed in the same project for the same branch: the one that made p_base, else the
-- last one. null where there is none. Figures only: a runner sees no other run. SECURITY DEFINER: as in mailboxes.sql.
create function public.describe_earlier_run_v1(p_run_id uuid, p_base text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, 'publish');
begin
    return (
        select jsonb_build_object('commit', earlier.commit_sha, 'finished_at', earlier.finished_at,
            'is_base', earlier.commit_sha is not distinct from p_base,
            'tests', earlier.summary_json #> '{verdict,tests,total}',
            'passed', earlier.summary_json #> '{verdict,tests,passed}',
            'coverage', earlier.summary_json #> '{verdict,coverage}',
            'e2e_passed', earlier.summary_json #> '{tests,e2e,passed}',
            'lighthouse_score', earlier.summary_json #> '{lighthouse,score}',
            'duration_seconds', earlier.summary_json -> 'duration_seconds')
        from public.runs as earlier
        join public.specs on specs.id = earlier.spec_id
        where earlier.project_id = run.project_id and earlier.id <> run.id and earlier.result = 'PASSED'
            and earlier.commit_sha is not null
            and specs.branch is not distinct from (select branch from public.specs where id = run.spec_id)
        order by earlier.commit_sha = p_base desc, earlier.finished_at desc
        limit 1);
end
$$;
revoke all on function public.describe_earlier_run_v1(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.describe_earlier_run_v1(uuid, text) to aicd_runner;
