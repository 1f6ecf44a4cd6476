-- The operator's limit on answers. Invoker rights: as in operator.sql.

-- How often one sender is told in a day that his mail was no good; 20 unless it is set.
create function public.limit_answers_v1(p_per_day integer) returns void
language plpgsql set search_path = '' as $$
begin
    if p_per_day is null or p_per_day not between 0 and 100000 then
        perform private.refuse(400, 'bad-limit', 'The limit is 0 to 100000 answers a day.', 'Give a number.');
    end if;
    insert into private.settings (name, value) values ('answers_per_sender_and_day', p_per_day::text)
    on conflict (name) do update set value = excluded.value;
    perform private.audit('limit_answers', 'settings', 'answers_per_sender_and_day', null,
        jsonb_build_object('per_day', p_per_day));
end
$$;
revoke all on function public.limit_answers_v1(integer) from public, anon, authenticated, service_role;
