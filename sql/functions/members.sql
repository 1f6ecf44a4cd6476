-- The operator's hand on who belongs where. Invoker rights: as in operator.sql. The log of it is written by a trigger on
-- the two tables (authority.sql), whoever writes them.

-- The one account that is meant: {user_id} or {email}. Auth keeps one for an address, but for single sign-on.
create function private.find_user(p_member jsonb) returns uuid
language plpgsql stable set search_path = '' as $$
declare
    found_ids uuid[];
begin
    select array_agg(id) into found_ids from auth.users
    where id = (p_member ->> 'user_id')::uuid or lower(email) = lower(p_member ->> 'email');
    if found_ids is null then
        perform private.refuse(404, 'user-not-found', 'Nobody with this address or id has an account.',
            'Let him sign up, or invite him (Authentication, Users); an account is found by its exact address.');
    elsif cardinality(found_ids) > 1 then
        perform private.refuse(409, 'user-ambiguous', 'Several accounts have this address.', 'Name the account by its id.');
    end if;
    return found_ids[1];
end
$$;

-- What the membership is in: {project_id, organisation_id}, one of them null. {repo} or {organisation: a name}.
create function private.find_membership(p_member jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    found_project uuid;
    found_organisation uuid;
begin
    if (p_member ->> 'repo' is null) = (p_member ->> 'organisation' is null) then
        perform private.refuse(400, 'bad-membership', 'A membership is in one project or in one organisation.',
            'Name a repository or an organisation, and not both.');
    end if;
    select id into found_project from public.projects where lower(repo) = lower(p_member ->> 'repo');
    select id into found_organisation from public.organisations where name = p_member ->> 'organisation';
    if found_project is null and found_organisation is null then
        perform private.refuse(404, case when p_member ->> 'repo' is null then 'organisation-not-found' else 'project-not-found' end,
            format('There is nothing set up here for %s.', coalesce(p_member ->> 'repo', p_member ->> 'organisation')),
            'Check the name; create_project_v1 makes a project and its organisation.');
    end if;
    return jsonb_build_object('project_id', found_project, 'organisation_id', found_organisation);
end
$$;

-- Everybody who belongs to a repository's project or to an organisation, or all: [{user_id, email, role, repo,
-- organisation, created_at}]. A project's list has those of its organisation who may see it, too.
create function public.list_members_v1(p_repo text default null, p_organisation text default null) returns jsonb
language sql stable set search_path = '' as $$
    with members as (
        select projects.repo, organisations.name as organisation, user_id, role, project_members.created_at
        from public.project_members
        join public.projects on projects.id = project_id
        join public.organisations on organisations.id = projects.organisation_id
        where (p_repo is null or lower(repo) = lower(p_repo)) and (p_organisation is null or organisations.name = p_organisation)
        union all
        select null, organisations.name, user_id, role, organisation_members.created_at
        from public.organisation_members
        join public.organisations on organisations.id = organisation_id
        where (p_organisation is null or organisations.name = p_organisation)
            and (p_repo is null or role <> 'member' and exists (
                select from public.projects
                where projects.organisation_id = organisations.id and lower(repo) = lower(p_repo)))
    )
    select coalesce(jsonb_agg(jsonb_build_object('user_id', user_id, 'email', users.email, 'role', members.role,
        'repo', repo, 'organisation', organisation, 'created_at', members.created_at)
        order by organisation, repo nulls first, users.email, user_id), '[]')
    from members join auth.users on users.id = user_id
$$;
revoke all on function public.list_members_v1(text, text) from public, anon, authenticated, service_role;

-- p_member: {email or user_id, repo or organisation, role} → {user_id, role, was}. Again with another role changes it.
create function public.add_member_v1(p_member jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    target jsonb := private.find_membership(p_member);
    member_id uuid := private.find_user(p_member);
    given text := p_member ->> 'role';
    roles text[] := case when target ->> 'project_id' is not null
        then array['maintainer', 'developer', 'viewer'] else array['owner', 'admin', 'member'] end;
    before text;
begin
    if given is null or given <> all (roles) then
        perform private.refuse(400, 'bad-role', format('The roles here are %s.', array_to_string(roles, ', ')), 'Give one of them.');
    end if;
    if target ->> 'project_id' is not null then
        select role into before from public.project_members
        where project_id = (target ->> 'project_id')::uuid and user_id = member_id for update;
        insert into public.project_members as known (project_id, user_id, role)
        values ((target ->> 'project_id')::uuid, member_id, given)
        on conflict (project_id, user_id) do update set role = excluded.role where known.role <> excluded.role;
    else
        select role into before from public.organisation_members
        where organisation_id = (target ->> 'organisation_id')::uuid and user_id = member_id for update;
        insert into public.organisation_members as known (organisation_id, user_id, role)
        values ((target ->> 'organisation_id')::uuid, member_id, given)
        on conflict (organisation_id, user_id) do update set role = excluded.role where known.role <> excluded.role;
    end if;
    return jsonb_build_object('user_id', member_id, 'role', given, 'was', before);
end
$$;
revoke all on function public.add_member_v1(jsonb) from public, anon, authenticated, service_role;

-- False when he did not belong there. What he may see is gone with the next statement.
create function public.remove_member_v1(p_member jsonb) returns boolean
language plpgsql set search_path = '' as $$
declare
    target jsonb := private.find_membership(p_member);
    member_id uuid := private.find_user(p_member);
begin
    if target ->> 'project_id' is not null then
        delete from public.project_members where project_id = (target ->> 'project_id')::uuid and user_id = member_id;
    else
        delete from public.organisation_members
        where organisation_id = (target ->> 'organisation_id')::uuid and user_id = member_id;
    end if;
    return found;
end
$$;
revoke all on function public.remove_member_v1(jsonb) from public, anon, authenticated, service_role;

revoke all on function private.find_user(jsonb), private.find_membership(jsonb)
    from public, anon, authenticated, service_role;
