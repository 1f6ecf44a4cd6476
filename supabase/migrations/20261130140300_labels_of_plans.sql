-- The labels of a plan keep the rule of a specification's: each becomes part of a branch's name.

-- A label becomes part of a branch's name: the rule of controlplane/specfile/names.py, whose expression looks behind and
-- ahead, which Postgres' cannot.
create function private.is_label(p_text text) returns boolean
language sql immutable parallel safe set search_path = '' as $$
    select coalesce(p_text ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' and p_text !~ '\.\.|\.lock$|\.$', false)
$$;
revoke all on function private.is_label(text) from public, anon, authenticated, service_role;

create or replace function private.refuse_bad_plan(p_plan jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    sprints jsonb := p_plan -> 'sprints';
begin
    perform private.refuse_large(p_plan, 'The plan', 1048576);
    if jsonb_typeof(sprints) is distinct from 'array' or jsonb_array_length(sprints) not between 1 and 100
        or exists (
            select from jsonb_array_elements(case jsonb_typeof(sprints) when 'array' then sprints else '[]' end) as sprint
            where jsonb_typeof(sprint -> 'label') is distinct from 'string'
                or not private.is_label(sprint ->> 'label')
                or jsonb_typeof(coalesce(sprint -> 'dod', '{}')) <> 'object')
        or (select count(distinct sprint ->> 'label') from jsonb_array_elements(sprints) as sprint)
            <> jsonb_array_length(sprints) then
        perform private.refuse(400, 'bad-plan',
            'A plan has 1 to 100 sprints, each with a label of its own (at most 64 letters, digits, ., _ and -) and a Definition of Done.',
            'Hand over {sprints: [Sprint as JSON], confidence, estimate, questions, model, prompt_sha256}.');
    end if;
    if jsonb_typeof(p_plan -> 'confidence') is distinct from 'number'
        or (p_plan ->> 'confidence')::numeric not between 0 and 1 then
        perform private.refuse(400, 'bad-plan', 'The confidence of a plan is a number from 0 to 1.', 'Hand it over.');
    end if;
end
$$;
