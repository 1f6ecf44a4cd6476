-- The operator's verbs: called by the owner over a direct connection, granted to nobody.
-- Invoker rights: the owner needs no others.

-- Makes or changes the project of a repository: {repo, name?, organisation?, default_branch?, workflow?, policy?,
-- repository_id?, repository_owner_id?}. The two ids are GitHub's and pin the repository (null for both lets it go); they
-- are never learnt from a token, for whoever came first would be trusted.
create function public.create_project_v1(p_project jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    owning uuid;
    made public.projects;
begin
    insert into public.organisations (name)
    values (coalesce(p_project ->> 'organisation', split_part(p_project ->> 'repo', '/', 1)))
    on conflict (name) do update set name = excluded.name
    returning id into owning;
    insert into public.projects as known (organisation_id, name, repo, default_branch, workflow, policy,
        repository_id, repository_owner_id)
    values (owning, coalesce(p_project ->> 'name', p_project ->> 'repo'), p_project ->> 'repo',
        coalesce(p_project ->> 'default_branch', 'main'), coalesce(p_project ->> 'workflow', 'aicd.yml'),
        coalesce(p_project -> 'policy', '{}'), p_project ->> 'repository_id', p_project ->> 'repository_owner_id')
    on conflict (lower(repo)) do update
    set name = coalesce(p_project ->> 'name', known.name),
        organisation_id = case when p_project ? 'organisation' then excluded.organisation_id else known.organisation_id end,
        default_branch = coalesce(p_project ->> 'default_branch', known.default_branch),
        workflow = coalesce(p_project ->> 'workflow', known.workflow),
        policy = coalesce(p_project -> 'policy', known.policy),
        repository_id = case when p_project ? 'repository_id' then excluded.repository_id else known.repository_id end,
        repository_owner_id = case when p_project ? 'repository_owner_id'
            then excluded.repository_owner_id else known.repository_owner_id end
    returning * into made;
    perform private.audit('create_project', 'projects', made.id::text, made.id, p_project);
    return jsonb_build_object('project_id', made.id, 'organisation_id', made.organisation_id, 'repo', made.repo,
        'default_branch', made.default_branch, 'workflow', made.workflow, 'policy', made.policy,
        'repository_id', made.repository_id, 'repository_owner_id', made.repository_owner_id);
end
$$;
revoke all on function public.create_project_v1(jsonb) from public, anon, authenticated, service_role;

-- A list of texts out of JSON; null for null and for an empty list. A single text is a list of one.
create function private.texts_of(p_list jsonb) returns text[]
language sql immutable set search_path = '' as $$
    select nullif(array(select jsonb_array_elements_text(case jsonb_typeof(p_list)
        when 'array' then p_list when 'string' then jsonb_build_array(p_list) else '[]' end)), '{}')
$$;
revoke all on function private.texts_of(jsonb) from public, anon, authenticated, service_role;

-- Lets an address, or a domain as *@example.com, target one repository, or every one when p_repo is null.
-- p_options: {daily_limit?, needs_approval?, budget_usd_day?, budget_usd_month?, branches?}; what is not said stays as it is, and a
-- budget of null is none.
create function public.allow_sender_v1(p_pattern text, p_repo text, p_options jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    target uuid;
    made public.senders;
begin
    select id into target from public.projects where lower(repo) = lower(p_repo);
    if p_repo is not null and target is null then
        perform private.refuse(404, 'project-not-found', format('There is no project for the repository %s.', p_repo),
            'Create it first: create_project_v1.');
    end if;
    insert into public.senders as known (pattern, project_id, daily_limit, needs_approval, budget_usd_day,
        budget_usd_month, branches)
    values (lower(p_pattern), target, coalesce((p_options ->> 'daily_limit')::integer, 100),
        coalesce((p_options ->> 'needs_approval')::boolean, false), (p_options ->> 'budget_usd_day')::numeric,
        (p_options ->> 'budget_usd_month')::numeric, private.texts_of(p_options -> 'branches'))
    on conflict (pattern, project_id) do update
    set daily_limit = coalesce((p_options ->> 'daily_limit')::integer, known.daily_limit),
        needs_approval = coalesce((p_options ->> 'needs_approval')::boolean, known.needs_approval),
        budget_usd_day = case when p_options ? 'budget_usd_day' then excluded.budget_usd_day else known.budget_usd_day end,
        budget_usd_month = case when p_options ? 'budget_usd_month'
            then excluded.budget_usd_month else known.budget_usd_month end,
        branches = case when p_options ? 'branches' then excluded.branches else known.branches end
    returning * into made;
    perform private.audit('allow_sender', 'senders', made.id::text, target,
        jsonb_build_object('pattern', made.pattern, 'options', p_options));
    return jsonb_build_object('sender_id', made.id, 'pattern', made.pattern, 'project_id', made.project_id,
        'daily_limit', made.daily_limit, 'needs_approval', made.needs_approval, 'budget_usd_day', made.budget_usd_day,
        'budget_usd_month', made.budget_usd_month, 'branches', made.branches);
end
$$;
revoke all on function public.allow_sender_v1(text, text, jsonb) from public, anon, authenticated, service_role;

-- Takes a pattern off the allow-list, for every project; how many rows that were.
create function public.disallow_sender_v1(p_pattern text) returns integer
language plpgsql set search_path = '' as $$
declare
    gone public.senders;
    removed integer := 0;
begin
    for gone in delete from public.senders where pattern = lower(p_pattern) returning * loop
        removed := removed + 1;
        perform private.audit('disallow_sender', 'senders', gone.id::text, gone.project_id,
            jsonb_build_object('pattern', gone.pattern));
    end loop;
    return removed;
end
$$;
revoke all on function public.disallow_sender_v1(text) from public, anon, authenticated, service_role;

create function public.create_mailbox_v1(p_email text) returns jsonb
language plpgsql set search_path = '' as $$
declare
    made public.mailboxes;
begin
    insert into public.mailboxes (email) values (lower(p_email))
    on conflict (email) do update set email = excluded.email
    returning * into made;
    perform private.audit('create_mailbox', 'mailboxes', made.id::text, null, jsonb_build_object('email', made.email));
    return jsonb_build_object('mailbox_id', made.id, 'email', made.email);
end
$$;
revoke all on function public.create_mailbox_v1(text) from public, anon, authenticated, service_role;

-- How the senders of one mailbox are proven. {verify_dkim?, authserv_id?}: null is as for all, what is not there stays.
create function public.configure_mailbox_v1(p_email text, p_settings jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    changed public.mailboxes;
begin
    update public.mailboxes
    set verify_dkim = case when p_settings ? 'verify_dkim' then (p_settings ->> 'verify_dkim')::boolean
            else verify_dkim end,
        authserv_id = case when p_settings ? 'authserv_id' then p_settings ->> 'authserv_id' else authserv_id end
    where email = lower(p_email) returning * into changed;
    if changed.id is null then
        perform private.refuse(404, 'mailbox-not-found', 'There is no such mailbox.', 'Add it: create_mailbox_v1.');
    end if;
    perform private.audit('configure_mailbox', 'mailboxes', changed.id::text, null,
        jsonb_build_object('verify_dkim', changed.verify_dkim, 'authserv_id', changed.authserv_id));
    return jsonb_build_object('mailbox_id', changed.id, 'email', changed.email, 'verify_dkim', changed.verify_dkim,
        'authserv_id', changed.authserv_id);
end
$$;
revoke all on function public.configure_mailbox_v1(text, jsonb) from public, anon, authenticated, service_role;

-- The token is dead with the end of this transaction; false when it was revoked before.
create function public.revoke_token_v1(p_jti text, p_reason text) returns boolean
language plpgsql set search_path = '' as $$
begin
    insert into public.revoked_tokens (jti, reason) values (p_jti, coalesce(p_reason, ''))
    on conflict (jti) do nothing;
    if found then
        perform private.audit('revoke_token', 'revoked_tokens', p_jti, null, jsonb_build_object('reason', p_reason));
        return true;
    end if;
    return false;
end
$$;
revoke all on function public.revoke_token_v1(text, text) from public, anon, authenticated, service_role;

-- Where the cloud's database webhook goes for one kind of outbox row, and the secret that signs it.
create function public.configure_webhook_v1(p_kind text, p_url text, p_secret text) returns void
language plpgsql set search_path = '' as $$
begin
    insert into private.settings (name, value)
    values ('webhook_url.' || p_kind, p_url), ('webhook_secret', p_secret)
    on conflict (name) do update set value = excluded.value;
    perform private.audit('configure_webhook', 'settings', 'webhook_url.' || p_kind, null, jsonb_build_object('url', p_url));
end
$$;
revoke all on function public.configure_webhook_v1(text, text, text) from public, anon, authenticated, service_role;
