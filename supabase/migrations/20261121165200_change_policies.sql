-- The operator changes a project's policy key by key, and sees all of it.

-- The operator's projects and their policies. Invoker rights: as in operator.sql.

create function private.describe_project(p_project public.projects) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('project_id', p_project.id, 'repo', p_project.repo, 'name', p_project.name,
        'organisation', (select name from public.organisations where id = p_project.organisation_id),
        'default_branch', p_project.default_branch, 'workflow', p_project.workflow, 'policy', p_project.policy,
        'repository_id', p_project.repository_id, 'repository_owner_id', p_project.repository_owner_id,
        'created_at', p_project.created_at)
$$;

-- All projects by repository, or one; the member's list_projects_v1 has neither policy nor pinned numbers.
create function public.describe_projects_v1(p_repo text default null) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(private.describe_project(projects) order by lower(repo)), '[]')
    from public.projects where p_repo is null or lower(repo) = lower(p_repo)
$$;
revoke all on function public.describe_projects_v1(text) from public, anon, authenticated, service_role;

-- Changes what is named in p_changes and leaves the rest of the policy as it is; null takes a key away.
create function public.change_policy_v1(p_repo text, p_changes jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    before public.projects;
    after public.projects;
begin
    perform private.refuse_large(p_changes, 'The policy', 65536);
    if jsonb_typeof(p_changes) is distinct from 'object' then
        perform private.refuse(400, 'bad-policy', 'A policy is changed key by key.', 'Hand over {key: value or null}.');
    end if;
    select * into before from public.projects where lower(repo) = lower(p_repo) for update;
    if before.id is null then
        perform private.refuse(404, 'project-not-found', format('There is no project for the repository %s.', p_repo),
            'Create it first: create_project_v1.');
    end if;
    -- Only a key whose new value is null goes; nulls inside of a value stay.
    update public.projects
    set policy = (policy || p_changes)
        - array(select key from jsonb_each(p_changes) where value = 'null')
    where id = before.id returning * into after;
    perform private.audit('change_policy', 'projects', after.id::text, after.id, jsonb_build_object('changes', p_changes,
        'was', (select coalesce(jsonb_object_agg(key, before.policy -> key), '{}') from jsonb_object_keys(p_changes) as key)));
    return private.describe_project(after);
end
$$;
revoke all on function public.change_policy_v1(text, jsonb) from public, anon, authenticated, service_role;

revoke all on function private.describe_project(public.projects) from public, anon, authenticated, service_role;

