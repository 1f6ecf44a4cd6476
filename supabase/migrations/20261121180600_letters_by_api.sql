-- By API, too, a project's own word about planning letters counts.

-- Asked before anything is stored: {outcome: ready, duplicate, repository-not-allowed, branch-not-allowed or
-- daily-limit, reason, spec, planner: what the project says about planning letters, null where it says nothing}. p_spec: {id, repo, branch, sha, content_key, rfc_message_id, again}; `again` asks for a new one even
-- where its twin is there.
create or replace function public.check_submission_v1(p_caller jsonb, p_spec jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
    target uuid;
    twin uuid;
    refusal jsonb;
begin
    perform private.require_role('aicd_functions');
    select id into target from public.projects
    where lower(repo) = lower(p_spec ->> 'repo') and id in (select private.projects_of_caller(p_caller, 'specs:write'));
    -- His own, stored before the answer was lost: said again as it was.
    select id into twin from public.specs where id = (p_spec ->> 'id')::uuid and project_id = target and sha = p_spec ->> 'sha';
    if twin is not null then
        return jsonb_build_object('outcome', 'accepted', 'reason', '', 'spec', private.describe_submitted(twin));
    end if;
    if not coalesce((p_spec ->> 'again')::boolean, false) then
        twin := private.twin_of(target, p_spec);
        if twin is not null then
            return jsonb_build_object('outcome', 'duplicate', 'reason', '', 'spec', private.describe_submitted(twin));
        end if;
    end if;
    refusal := private.refusal_of_caller(p_caller, p_spec);
    return jsonb_build_object('outcome', coalesce(refusal ->> 'code', 'ready'), 'reason', coalesce(refusal ->> 'message', ''),
        'spec', null, 'planner', (
            select policy -> 'planner' from public.projects
            where id = target and jsonb_typeof(policy -> 'planner') = 'boolean'));
end
$$;
