-- Deliveries are remembered for a quarter of a year.

-- Serves the removal of what is older than a quarter of a year.
create index idx_webhook_deliveries_received_at on private.webhook_deliveries (received_at);

-- What GitHub told, once for a delivery: {outcome: recorded, known (nothing new), replayed, unknown-repository or
-- unknown-run, run_id}. p_event: {kind: merged, closed, reopened or deployed, repo, repository_id, number, url, commit,
-- environment, at, by}. MERGED is told once for a run, DEPLOYED once for a run and environment. A repository whose number
-- is pinned must have that number. The claim and the effect are one transaction: what fails may be delivered again.
create or replace function public.record_github_event_v1(p_delivery_id text, p_event jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    project public.projects;
    run public.runs;
    event_id uuid;
    told boolean := false;
begin
    perform private.require_role('aicd_functions');
    perform private.refuse_large(p_event, 'The event', 16384);
    -- A delivery from before that can do nothing new: what it tells is known, by its own id.
    delete from private.webhook_deliveries where (source, delivery_id) in (
        select old.source, old.delivery_id from private.webhook_deliveries as old
        where received_at < now() - interval '90 days' order by received_at limit 100 for update skip locked);
    insert into private.webhook_deliveries (source, delivery_id) values ('github', p_delivery_id) on conflict do nothing;
    if not found then
        return jsonb_build_object('outcome', 'replayed', 'run_id', null);
    end if;
    select * into project from public.projects
    where lower(repo) = lower(p_event ->> 'repo')
        and (repository_id is null or repository_id = p_event ->> 'repository_id');
    if project.id is null then
        return jsonb_build_object('outcome', 'unknown-repository', 'run_id', null);
    end if;
    run := private.run_of_event(project.id, p_event);
    if run.id is null then
        return jsonb_build_object('outcome', 'unknown-run', 'run_id', null);
    end if;
    if p_event ->> 'kind' <> 'deployed' then
        update public.runs
        set pull_request = pull_request || jsonb_strip_nulls(jsonb_build_object(
            'state', case p_event ->> 'kind' when 'reopened' then 'open' else p_event ->> 'kind' end,
            'merge_commit', case p_event ->> 'kind' when 'merged' then p_event ->> 'commit' end))
        where id = run.id and pull_request ->> 'state' is distinct from 'merged';
        told := found;
    end if;
    if p_event ->> 'kind' in ('merged', 'deployed') then
        event_id := private.derived_id('github:' || (p_event ->> 'kind') || ':' || run.id || ':'
            || coalesce(p_event ->> 'environment', ''));
        insert into public.status_events (id, run_id, spec_id, phase, message, metadata)
        values (event_id, run.id, run.spec_id, upper(p_event ->> 'kind'), case p_event ->> 'kind'
                when 'merged' then 'The pull request was merged.'
                else format('The change was deployed to %s.', left(coalesce(p_event ->> 'environment', ''), 200)) end,
            jsonb_strip_nulls(p_event - 'kind' - 'repository_id'))
        on conflict (id) do nothing;
        told := found;
    end if;
    return jsonb_build_object('outcome', case when told then 'recorded' else 'known' end, 'run_id', run.id);
end
$$;
