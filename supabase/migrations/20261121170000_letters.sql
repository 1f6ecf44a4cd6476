-- A letter in plain words need not name a repository: the one that its sender means is looked up.

-- {repo, planner, repositories, total}. `repo` is the one that the letter is for: the named one, else the one that his
-- last specification in this thread is for, else his only one; null where that is none of his. `planner` is what that
-- project's policy says about letters (null: nothing). `repositories` names the first twenty of his, never another's.
create function public.find_repository_v1(p_sender text, p_repo text, p_mailbox_id uuid, p_gmail_thread_id text)
returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
    his uuid[];
    meant public.projects;
begin
    perform private.require_role('aicd_functions');
    select coalesce(array_agg(id), '{}') into his from public.projects
    where exists (select from private.senders_of(p_sender) as listed
                  where listed.project_id is null or listed.project_id = projects.id);
    if coalesce(p_repo, '') <> '' then
        select * into meant from public.projects where id = any (his) and lower(repo) = lower(p_repo);
    else
        select projects.* into meant
        from public.messages
        join public.specs on specs.message_id = messages.id
        join public.projects on projects.id = specs.project_id
        where messages.mailbox_id = p_mailbox_id and messages.gmail_thread_id = p_gmail_thread_id
            and p_gmail_thread_id <> '' and messages.sender = lower(p_sender) and projects.id = any (his)
        order by specs.created_at desc, specs.id limit 1;
        if meant.id is null and cardinality(his) = 1 then
            select * into meant from public.projects where id = his[1];
        end if;
    end if;
    return jsonb_build_object('repo', meant.repo,
        'planner', case when jsonb_typeof(meant.policy -> 'planner') = 'boolean' then meant.policy -> 'planner' end,
        'total', cardinality(his),
        'repositories', (
            select coalesce(jsonb_agg(repo order by lower(repo)), '[]')
            from (select repo from public.projects where id = any (his) order by lower(repo) limit 20) as first_ones));
end
$$;
revoke all on function public.find_repository_v1(text, text, uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.find_repository_v1(text, text, uuid, text) to aicd_functions;
