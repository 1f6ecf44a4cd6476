-- A run may leave a thousand artifacts: one call notes many of them.

-- As record_artifact_v1, which does it, in the caller's name and with all its checks; a refused one refuses all.
create function public.record_artifacts_v1(p_run_id uuid, p_artifacts jsonb) returns jsonb
language sql set search_path = '' as $$
    select coalesce(jsonb_agg(public.record_artifact_v1(p_run_id, item) order by position), '[]')
    from jsonb_array_elements(p_artifacts) with ordinality as given (item, position)
$$;
revoke all on function public.record_artifacts_v1(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.record_artifacts_v1(uuid, jsonb) to aicd_runner;
