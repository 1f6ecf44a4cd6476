"""The rules of Supabase's database advisors as checks of our own, and a few that only our own rules ask for.

Each query answers one line of text a finding. Names are the advisors' (https://supabase.com/docs/guides/database/
database-linter); unused_index is left out, because a test database uses no index. Every rule carries a mutant: a change
that it must find, so that no rule is blind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

OURS = "('public', 'private')"
Find = Callable[[psycopg.Connection[Any]], set[str]]


@dataclass(frozen=True)
class Rule:
    """`allowed` says why a finding is none."""

    name: str
    find: Find
    # Run as the superuser; the first one alone is enough for most.
    mutants: tuple[str, ...]
    allowed: Mapping[str, str] = field(default_factory=dict)


def query(text: str) -> Find:
    def find(connection: psycopg.Connection[Any]) -> set[str]:
        return {str(row[0]) for row in connection.execute(text.format(ours=OURS))}  # type: ignore[arg-type]

    return find


def policies(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """(name of table and policy, both of its expressions)."""
    rows = connection.execute(
        "select format('%s.%s: %s', schemaname, tablename, policyname), concat_ws(' ; ', qual, with_check)"
        " from pg_policies where schemaname in ('public', 'private', 'storage')"
    )
    return [(str(name), str(expression)) for name, expression in rows]


def without_selects(expression: str) -> str:
    """The expression without its subqueries: what is left is evaluated for every row."""
    kept: list[str] = []
    depths: list[bool] = []
    for position, character in enumerate(expression):
        if character == "(":
            is_select = bool(re.match(r"\(\s*select\b", expression[position:], re.IGNORECASE))
            depths.append(is_select or bool(depths and depths[-1]))
        if not (depths and depths[-1]):
            kept.append(character)
        if character == ")" and depths:
            depths.pop()
    return "".join(kept)


# Asked of the row itself, so they cannot be asked once for a statement.
OF_THE_ROW = re.compile(r"private\.(uuid_of_path|may_remove_object|object_is_marked)\(")
PER_STATEMENT = re.compile(r"\b(auth|private|realtime)\.\w+\(|\bcurrent_setting\(", re.IGNORECASE)


def find_unwrapped_calls(connection: psycopg.Connection[Any]) -> set[str]:
    return {
        name
        for name, expression in policies(connection)
        if PER_STATEMENT.search(OF_THE_ROW.sub("", without_selects(expression)))
    }


def find_user_metadata(connection: psycopg.Connection[Any]) -> set[str]:
    # A member writes his own user_metadata.
    return {name for name, expression in policies(connection) if "user_metadata" in expression}


def find_always_true(connection: psycopg.Connection[Any]) -> set[str]:
    bare = {"true", "(true)", "(1 = 1)"}
    return {name for name, expression in policies(connection) if set(expression.split(" ; ")) & bare}


UNINDEXED_FOREIGN_KEYS = """
    select format('%s(%s)', c.conrelid::regclass, string_agg(a.attname, ',' order by k.place))
    from pg_constraint c
    cross join lateral unnest(c.conkey) with ordinality k (number, place)
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number
    where c.contype = 'f' and c.connamespace::regnamespace::text in {ours}
        and not exists (
            select from pg_index i
            -- indkey counts from 0; a partial index does not serve every row.
            where i.indrelid = c.conrelid and i.indpred is null
                and (i.indkey::smallint[])[0:cardinality(c.conkey) - 1] @> c.conkey)
    group by c.oid, c.conrelid"""
AUTH_USERS_EXPOSED = """
    select distinct v.oid::regclass::text
    from pg_class v
    join pg_rewrite r on r.ev_class = v.oid
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        and d.refobjid = 'auth.users'::regclass
    where v.relkind in ('v', 'm') and v.relnamespace = 'public'::regnamespace"""
MULTIPLE_PERMISSIVE = """
    select format('%s for %s to %s', polrelid::regclass, command,
        case role when 0 then 'public' else role::regrole::text end)
    from pg_policy
    cross join lateral unnest(polroles) role
    cross join lateral unnest(case polcmd when '*' then array['r', 'a', 'w', 'd'] else array[polcmd::text] end) command
    where polpermissive
    group by polrelid, command, role having count(*) > 1"""
# Tables of `private` have no policies, because nobody is granted anything there: private_table_granted sees to that.
NO_POLICY = """
    select c.oid::regclass::text from pg_class c
    where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and relrowsecurity
        and not exists (select from pg_policy where polrelid = c.oid)"""
PRIVATE_GRANTED = """
    select distinct format('%s to %s', c.oid::regclass,
        case grantee when 0 then 'public' else grantee::regrole::text end)
    from pg_class c cross join lateral aclexplode(relacl)
    where relnamespace = 'private'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f') and grantee <> relowner"""
DUPLICATE_INDEX = """
    select string_agg(indexrelid::regclass::text, ' = ' order by indexrelid::regclass::text)
    from pg_index join pg_class c on c.oid = indexrelid
    where c.relnamespace::regnamespace::text in {ours}
    group by indrelid, indkey::text, indclass::text, indoption::text, indcollation::text, indisunique,
        pg_get_expr(indexprs, indrelid), pg_get_expr(indpred, indrelid)
    having count(*) > 1"""
SENSITIVE = """
    select format('%s.%s for %s', attrelid::regclass, attname, role)
    from pg_attribute join pg_class c on c.oid = attrelid, unnest(array['anon', 'authenticated']) role
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') and attnum > 0
        and not attisdropped and has_column_privilege(role, attrelid, attnum, 'SELECT')
        and attname ~ ('(^|_)(password|passwd|pwd|secret|token|jwt|otp|ssn|iban|cvv|card_number|api_key|ssh_key|'
            || 'private_key|hash)(_|$)')"""
DEFINER = """
    select distinct p.oid::regprocedure::text from pg_proc p
    where pronamespace = 'public'::regnamespace and prosecdef and has_function_privilege('{role}', p.oid, 'execute')"""
# Which rows a policy lets through is looked up by this column, so an index must begin with it.
POLICY_COLUMN = """
    select format('%s(%s)', polrelid::regclass, a.attname)
    from pg_policy p
    join pg_attribute a on a.attrelid = polrelid and pg_get_expr(polqual, polrelid) ~ ('^\\(?' || a.attname || ' = ANY')
    where polrelid::regclass::text !~ '^storage'
        and not exists (
            select from pg_index i
            where i.indrelid = polrelid and i.indpred is null and (i.indkey::smallint[])[0] = a.attnum)"""

BY_VERBS_ONLY = "reached through verbs of aicd_functions and the operator; no row of it is anybody's to read"
MEMBERS_VERB = "tables are written by verbs alone; it begins by asking whether the caller may decide"
OWNERS_ONLY = "read by security definer functions of ours, granted to nobody"

RULES = (
    Rule("unindexed_foreign_keys", query(UNINDEXED_FOREIGN_KEYS), ("drop index idx_runs_spec_id",)),
    Rule("auth_users_exposed", query(AUTH_USERS_EXPOSED), ("create view public.people as select * from auth.users",)),
    Rule(
        "auth_rls_initplan",
        find_unwrapped_calls,
        (
            'alter policy "members read their projects" on projects using (id = auth.uid())',
            "alter policy \"members read their projects\" on projects using (current_setting('x') = name)",
            'alter policy "members read their projects" on projects using (private.token_is_live())',
            'alter policy "functions store specifications" on storage.objects with check (private.token_is_live())',
        ),
    ),
    Rule(
        "no_primary_key",
        query(
            "select oid::regclass::text from pg_class c where relkind in ('r', 'p')"
            " and relnamespace::regnamespace::text in {ours}"
            " and not exists (select from pg_constraint where conrelid = c.oid and contype = 'p')"
        ),
        ("create table public.keyless (a integer)",),
    ),
    Rule(
        "multiple_permissive_policies",
        query(MULTIPLE_PERMISSIVE),
        (
            "create policy again on projects for select to authenticated using (name = 'x')",
            "create policy again on projects for all to authenticated using (name = 'x')",
        ),
    ),
    Rule(
        "policy_exists_rls_disabled",
        query(
            "select distinct polrelid::regclass::text from pg_policy join pg_class c on c.oid = polrelid"
            " where not relrowsecurity"
        ),
        ("alter table runs disable row level security",),
    ),
    Rule(
        "rls_enabled_no_policy",
        query(NO_POLICY),
        ("create table public.closed (id integer primary key); alter table public.closed enable row level security",),
        allowed={
            "mailboxes": BY_VERBS_ONLY,
            "messages": BY_VERBS_ONLY,
            "outbox": BY_VERBS_ONLY,
            "retention_policies": BY_VERBS_ONLY,
            "senders": BY_VERBS_ONLY,
            "revoked_tokens": OWNERS_ONLY,
        },
    ),
    Rule("duplicate_index", query(DUPLICATE_INDEX), ("create index twice on runs (sprint_id)",)),
    Rule(
        "security_definer_view",
        query(
            "select oid::regclass::text from pg_class where relkind = 'v'"
            " and relnamespace::regnamespace::text in {ours}"
            " and not coalesce(reloptions, '{{}}') && array['security_invoker=true', 'security_invoker=on']"
        ),
        ("create view public.all_specs as select * from specs",),
    ),
    Rule(
        "function_search_path_mutable",
        query(
            "select oid::regprocedure::text from pg_proc where pronamespace::regnamespace::text in {ours}"
            " and not exists (select from unnest(proconfig) setting where setting like 'search_path=%')"
        ),
        ("alter function private.claims() reset search_path",),
    ),
    Rule(
        "rls_disabled_in_public",
        query(
            "select oid::regclass::text from pg_class where relkind in ('r', 'p') and not relrowsecurity"
            " and relnamespace::regnamespace::text in {ours}"
        ),
        ("create table public.open (id integer primary key)",),
    ),
    Rule(
        "extension_in_public",
        query("select extname from pg_extension where extnamespace::regnamespace::text in {ours}"),
        ("create extension citext schema public",),
    ),
    Rule(
        "rls_references_user_metadata",
        find_user_metadata,
        (
            'alter policy "members read their projects" on projects'
            " using (name = (select auth.jwt() -> 'user_metadata' ->> 'project'))",
        ),
    ),
    Rule(
        "materialized_view_in_api",
        query(
            "select distinct c.oid::regclass::text from pg_class c, unnest(array['anon', 'authenticated']) role"
            " where relkind = 'm' and relnamespace = 'public'::regnamespace"
            " and has_table_privilege(role, c.oid, 'SELECT')"
        ),
        ("create materialized view public.kept as select 1 as a; grant select on public.kept to authenticated",),
    ),
    Rule(
        "foreign_table_in_api",
        query(
            "select distinct c.oid::regclass::text from pg_class c, unnest(array['anon', 'authenticated']) role"
            " where relkind = 'f' and relnamespace = 'public'::regnamespace"
            " and has_table_privilege(role, c.oid, 'SELECT')"
        ),
        (
            "create foreign data wrapper w; create server s foreign data wrapper w;"
            " create foreign table public.far (a integer) server s; grant select on public.far to anon",
        ),
    ),
    Rule(
        "unsupported_reg_types",
        query(
            "select format('%s.%s', attrelid::regclass, attname) from pg_attribute join pg_class c on c.oid = attrelid"
            " where relnamespace::regnamespace::text in {ours} and relkind in ('r', 'p')"
            " and atttypid::regtype::text in ('regproc', 'regprocedure', 'regoper', 'regoperator', 'regclass',"
            " 'regcollation', 'regnamespace', 'regconfig', 'regdictionary')"
        ),
        ("alter table projects add column kind regclass",),
    ),
    Rule(
        "fkey_to_auth_unique",
        query(
            "select conname from pg_constraint where contype = 'f' and confrelid = 'auth.users'::regclass"
            " and pg_get_constraintdef(oid) !~ 'auth.users\\(id\\)'"
        ),
        ("alter table projects add column phone text references auth.users (phone)",),
    ),
    Rule(
        "sensitive_columns_exposed",
        query(SENSITIVE),
        (
            "alter table projects add column webhook_secret text",
            "grant select (jti) on revoked_tokens to anon; alter table revoked_tokens rename jti to token",
        ),
    ),
    Rule(
        "rls_policy_always_true",
        find_always_true,
        (
            'alter policy "members read their projects" on projects using (true)',
            'alter policy "functions store specifications" on storage.objects with check (true)',
        ),
    ),
    Rule(
        "public_bucket_allows_listing",
        query("select id from storage.buckets where public"),
        ("update storage.buckets set public = true where id = 'specs'",),
    ),
    Rule(
        "anon_security_definer_function_executable",
        query(DEFINER.replace("{role}", "anon")),
        ("grant execute on function finish_outbox_v1(uuid, uuid, jsonb) to anon",),
    ),
    Rule(
        "authenticated_security_definer_function_executable",
        query(DEFINER.replace("{role}", "authenticated")),
        ("grant execute on function finish_outbox_v1(uuid, uuid, jsonb) to authenticated",),
        allowed={
            "approve_sprint_v1(uuid)": MEMBERS_VERB,
            "ask_about_spec_v1(uuid,jsonb)": MEMBERS_VERB,
            "cancel_spec_v1(uuid,text)": MEMBERS_VERB,
            "create_api_key_v1(jsonb)": MEMBERS_VERB,
            "record_note_v1(uuid,jsonb)": MEMBERS_VERB,
            "retry_sprint_v1(uuid)": MEMBERS_VERB,
            "revoke_api_key_v1(uuid,text)": MEMBERS_VERB,
            "open_member_call_v1()": "counts the caller's own request in a table that verbs alone write, and tells him "
            "who he is and no more",
        },
    ),
    Rule(
        "invalid_index",
        query("select indexrelid::regclass::text from pg_index where not indisvalid"),
        ("update pg_index set indisvalid = false where indexrelid = 'idx_runs_sprint_id'::regclass",),
    ),
    # From here on: rules of our own.
    Rule(
        "function_executable_by_public",
        query(
            "select oid::regprocedure::text from pg_proc where pronamespace::regnamespace::text in {ours}"
            " and (proacl is null or exists (select from aclexplode(proacl) where grantee = 0))"
        ),
        ("create function public.anybodys() returns integer language sql set search_path = '' as 'select 1'",),
    ),
    Rule(
        "private_table_granted",
        query(PRIVATE_GRANTED),
        ("grant select on private.settings to authenticated", "grant insert on private.settings to public"),
    ),
    Rule(
        "policy_column_not_first_in_an_index",
        query(POLICY_COLUMN),
        ("drop index idx_artifacts_project_id", "drop index idx_status_events_project_id"),
    ),
)
