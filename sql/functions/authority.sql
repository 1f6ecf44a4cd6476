-- Who may decide, and not only read: maintainers of a project, owners and admins of its organisation, the operator.

-- The projects that the member may decide on. SECURITY DEFINER: the policies on the tables read here are written with it.
create function private.my_maintained_project_ids() returns setof uuid
language sql stable security definer set search_path = '' as $$
    select project_id from public.project_members
    where user_id = (select auth.uid()) and role = 'maintainer' and private.token_is_live()
    union
    select projects.id
    from public.organisation_members
    join public.projects on projects.organisation_id = organisation_members.organisation_id
    where organisation_members.user_id = (select auth.uid())
        and organisation_members.role in ('owner', 'admin') and private.token_is_live()
$$;

-- SECURITY DEFINER: as above.
create function private.my_administered_organisation_ids() returns setof uuid
language sql stable security definer set search_path = '' as $$
    select organisation_id from public.organisation_members
    where user_id = (select auth.uid()) and role in ('owner', 'admin') and private.token_is_live()
$$;

-- The owner over a direct connection, who needs no token. The API logs in as authenticator, so that nobody who comes
-- through it, with or without claims, is the operator.
create function private.is_operator() returns boolean
language sql stable set search_path = '' as $$
    select session_user = current_user and private.claims() = '{}'::jsonb
$$;

-- p_project_id is null where the thing asked for does not exist. Somebody else's thing looks the same as none.
create function private.require_maintainer(p_project_id uuid, p_noun text) returns void
language plpgsql stable set search_path = '' as $$
declare
    is_operator boolean := private.is_operator();
begin
    if not is_operator then
        perform private.require_role('authenticated');
    end if;
    if p_project_id is null or not is_operator and p_project_id not in (select private.my_project_ids()) then
        perform private.refuse(404, p_noun || '-not-found', format('There is no such %s for you.', p_noun),
            'Check the id, and that you are a member of its project.');
    end if;
    if not is_operator and p_project_id not in (select private.my_maintained_project_ids()) then
        perform private.refuse(403, 'not-maintainer', 'This is for the project''s maintainers and the organisation''s owners.',
            'Ask one of them, or have one of them give you the role.');
    end if;
end
$$;

-- As require_maintainer, for what belongs to a whole organisation.
create function private.require_administrator(p_organisation_id uuid, p_noun text) returns void
language plpgsql stable set search_path = '' as $$
declare
    is_operator boolean := private.is_operator();
begin
    if not is_operator then
        perform private.require_role('authenticated');
    end if;
    if p_organisation_id is null
        or not is_operator and p_organisation_id not in (select private.my_organisation_ids()) then
        perform private.refuse(404, p_noun || '-not-found', format('There is no such %s for you.', p_noun),
            'Check the id, and that you are a member of its organisation.');
    end if;
    if not is_operator and p_organisation_id not in (select private.my_administered_organisation_ids()) then
        perform private.refuse(403, 'not-administrator', 'This is for the organisation''s owners and admins.',
            'Ask one of them, or have one of them give you the role.');
    end if;
end
$$;

-- Authority over a project or an organisation is given by a row: whoever writes one, by whatever way, is on record.
create function private.audit_membership() returns trigger
language plpgsql set search_path = '' as $$
declare
    member jsonb := case tg_op when 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
begin
    perform private.audit(
        case tg_op when 'INSERT' then 'add_member' when 'UPDATE' then 'change_member' else 'remove_member' end,
        tg_table_name, coalesce(member ->> 'project_id', member ->> 'organisation_id'), (member ->> 'project_id')::uuid,
        jsonb_build_object('user_id', member ->> 'user_id', 'role', member ->> 'role',
            'was', case tg_op when 'UPDATE' then to_jsonb(old) ->> 'role' end));
    return null;
end
$$;
create trigger audit_membership after insert or update or delete on public.organisation_members
    for each row execute function private.audit_membership();
create trigger audit_membership after insert or update or delete on public.project_members
    for each row execute function private.audit_membership();

revoke all on function private.my_maintained_project_ids(), private.my_administered_organisation_ids(),
    private.is_operator(), private.require_maintainer(uuid, text), private.require_administrator(uuid, text),
    private.audit_membership() from public, anon, authenticated, service_role;
