-- What can never be carried out is given up at once, and is not tried eight times.

-- Trying again would change nothing: the row is DEAD at once, for an operator to look at → {dead}. A lost lease changes
-- nothing and answers how the row stands.
create function public.bury_outbox_v1(p_id uuid, p_lease_id uuid, p_error text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    taken public.outbox;
begin
    perform private.require_role('aicd_functions');
    select * into taken from public.outbox where id = p_id for update;
    if taken.id is null then
        perform private.refuse(404, 'outbox-row-not-found', 'There is no such outbox row.', 'Claim rows before you bury.');
    end if;
    if taken.state = 'PENDING' and taken.lease_id = p_lease_id then
        perform private.bury(p_id, p_error);
    end if;
    return (select jsonb_build_object('dead', state = 'DEAD') from public.outbox where id = p_id);
end
$$;
revoke all on function public.bury_outbox_v1(uuid, uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.bury_outbox_v1(uuid, uuid, text) to aicd_functions;
