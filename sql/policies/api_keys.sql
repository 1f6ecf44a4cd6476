-- Who sees that a key exists: those who may make and revoke it. The keys' hashes are nobody's.

grant execute on function private.my_maintained_project_ids(), private.my_administered_organisation_ids() to authenticated;
grant select on table public.api_keys to authenticated;

-- A project's keys are its maintainers'; a whole organisation's are its owners' and admins'.
create policy "maintainers read the keys of their projects" on public.api_keys for select to authenticated
    using (project_id = any (array(select private.my_maintained_project_ids()))
        or project_id is null and organisation_id = any (array(select private.my_administered_organisation_ids())));
