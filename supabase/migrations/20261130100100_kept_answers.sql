-- What the planner's model answered, until its plan is recorded: who is killed in between need not pay for it again. No
-- role reads it but through find_answer_v1.
create table private.kept_answers (
    sprint_id uuid not null references public.sprints (id) on delete cascade,
    -- The SHA-256 of all that was asked.
    key text not null check (key ~ '^[0-9a-f]{64}$'),
    answer jsonb not null,
    created_at timestamptz not null default now(),
    primary key (sprint_id, key)
);
alter table private.kept_answers enable row level security;
revoke all on table private.kept_answers from public, anon, authenticated, service_role;

-- Keeps what the planner's model answered (p_answer: {text, stop_reason, model, usage}) to a question with the SHA-256
-- p_key, for the next planning of the same sprint; the newest four are kept. Scope build.
create function public.keep_answer_v1(p_run_id uuid, p_key text, p_answer jsonb) returns void
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, 'build');
begin
    perform private.refuse_large(p_answer, 'The answer', 524288);
    if coalesce(p_key, '') !~ '^[0-9a-f]{64}$' or jsonb_typeof(p_answer) is distinct from 'object' then
        perform private.refuse(400, 'bad-answer', 'An answer is kept under the SHA-256 of its question.',
            'Hand over 64 digits and {text, stop_reason, model, usage}.');
    end if;
    if exists (select from public.sprints where id = run.sprint_id and plan_json is not null) then
        perform private.refuse(409, 'already-planned', 'This sprint has its plan.', 'Build it.');
    end if;
    insert into private.kept_answers (sprint_id, key, answer, created_at)
    values (run.sprint_id, p_key, p_answer, clock_timestamp())
    on conflict (sprint_id, key) do update set answer = excluded.answer, created_at = excluded.created_at;
    delete from private.kept_answers where sprint_id = run.sprint_id and key not in (
        select key from private.kept_answers where sprint_id = run.sprint_id order by created_at desc, key limit 4);
end
$$;
revoke all on function public.keep_answer_v1(uuid, text, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.keep_answer_v1(uuid, text, jsonb) to aicd_runner;

-- What an earlier planning of this run's sprint was answered to the same question; null where nothing is kept. Scope build.
create function public.find_answer_v1(p_run_id uuid, p_key text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, 'build');
begin
    return (select answer from private.kept_answers where sprint_id = run.sprint_id and key = p_key);
end
$$;
revoke all on function public.find_answer_v1(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.find_answer_v1(uuid, text) to aicd_runner;

-- No plan comes of what was answered: the next planning asks anew. Scope build.
create function public.forget_answers_v1(p_run_id uuid) returns void
language plpgsql security definer set search_path = '' as $$
declare
    run public.runs := private.require_running(p_run_id, 'build');
begin
    delete from private.kept_answers where sprint_id = run.sprint_id;
end
$$;
revoke all on function public.forget_answers_v1(uuid) from public, anon, authenticated, service_role;
grant execute on function public.forget_answers_v1(uuid) to aicd_runner;

-- Answers that have served their purpose. Those of a run that died wait for another try. SECURITY DEFINER: whoever moves
-- a sprint need not be able to read them.
create function private.drop_kept_answers() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    delete from private.kept_answers where sprint_id = new.id;
    return null;
end
$$;
revoke all on function private.drop_kept_answers() from public, anon, authenticated, service_role;
create trigger drop_kept_answers after update on public.sprints for each row
    when (new.plan_json is not null or new.state in ('NEEDS_INPUT', 'NEEDS_APPROVAL', 'DONE', 'CANCELLED'))
    execute function private.drop_kept_answers();
