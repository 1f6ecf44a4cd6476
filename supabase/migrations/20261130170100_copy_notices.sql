-- A notice that is told in a channel, too, is told there by a row of its own.

-- Has a notice told elsewhere, too, as a row of its own: what fails there repeats no mail. Each run and each
-- specification is told of once, however many mails are about it. True when the row is new.
create function public.copy_notice_v1(p_outbox_id uuid, p_channel text) returns boolean
language plpgsql security definer set search_path = '' as $$
declare
    work public.outbox;
begin
    perform private.require_role('aicd_functions');
    if p_channel is distinct from 'slack' then
        perform private.refuse(400, 'bad-channel', 'A notice is told by mail, or by slack.', 'Ask for slack.');
    end if;
    select * into work from public.outbox where id = p_outbox_id and kind = 'notify' and not payload ? 'channel';
    if work.id is null then
        perform private.refuse(404, 'notice-not-found', 'There is no such notice.', 'Claim rows of kind notify.');
    end if;
    return private.enqueue('notify', concat_ws(':', p_channel, work.payload ->> 'template',
        coalesce(work.payload ->> 'run_id', work.payload ->> 'spec_id', work.id::text)),
        work.payload || jsonb_build_object('channel', p_channel), work.correlation_id);
end
$$;
revoke all on function public.copy_notice_v1(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.copy_notice_v1(uuid, text) to aicd_functions;

-- Whom and what a row is about, for a person who has to decide.
create or replace function private.describe_outbox(p_row public.outbox) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('id', p_row.id, 'kind', p_row.kind, 'template', p_row.payload ->> 'template',
        'channel', p_row.payload ->> 'channel', 'state', p_row.state, 'attempts', p_row.attempts, 'last_error', p_row.last_error,
        'created_at', p_row.created_at, 'next_attempt_at', case p_row.state when 'PENDING' then p_row.next_attempt_at end,
        'leased_until', case when p_row.lease_expires_at > now() then p_row.lease_expires_at end,
        'done_at', p_row.done_at, 'dead_at', p_row.dead_at, 'correlation_id', p_row.correlation_id,
        'idempotency_key', p_row.idempotency_key, 'run_id', p_row.payload ->> 'run_id', 'spec_id', specs.id,
        'repo', specs.repo, 'requester', coalesce(specs.created_by, messages.sender))
    from (select) as always
    left join public.runs on runs.id = (p_row.payload ->> 'run_id')::uuid
    left join public.specs on specs.id = coalesce((p_row.payload ->> 'spec_id')::uuid, runs.spec_id)
    left join public.messages on messages.id = coalesce((p_row.payload ->> 'message_id')::uuid, specs.message_id)
$$;
