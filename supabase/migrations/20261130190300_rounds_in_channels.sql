-- Of a specification's questions only the first round was told in a channel.

-- Has a notice told elsewhere, too, as a row of its own: what fails there repeats no mail. Each run, each round of
-- questions and each specification is told of once, however many mails are about it. True when the row is new.
create or replace function public.copy_notice_v1(p_outbox_id uuid, p_channel text) returns boolean
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
        coalesce(work.payload ->> 'run_id', work.payload ->> 'round_id', work.payload ->> 'spec_id', work.id::text)),
        work.payload || jsonb_build_object('channel', p_channel), work.correlation_id);
end
$$;
