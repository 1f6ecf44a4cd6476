"""What the database holds, read from pg_catalog: the only source of the names that reach SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import psycopg
from pydantic import BaseModel, ConfigDict

SCHEMA = "public"


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Column(Frozen):
    name: str
    # As format_type writes it with an empty search_path, so it can be put into SQL as it is.
    type: str
    default: str | None = None
    is_generated: bool = False


class Relation(Frozen):
    """A table or view of the exposed schema."""

    name: str
    columns: dict[str, Column]
    primary_key: tuple[str, ...] = ()


class ForeignKey(Frozen):
    name: str
    table: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    # Whether a target row has at most one row of `table`: the columns are unique there.
    is_one_to_one: bool = False
    # Whether the columns are part of the table's primary key, as in a table that links two others.
    in_primary_key: bool = False


class Argument(Frozen):
    name: str
    type: str
    is_required: bool
    is_variadic: bool = False


class Function(Frozen):
    name: str
    arguments: tuple[Argument, ...]
    returns_set: bool
    # "void", "scalar" or "row"
    shape: str
    # The columns of a row, and the table whose row it is, where known.
    columns: dict[str, Column]
    relation: str | None
    is_volatile: bool
    # The function's own settings that have to be in force before it starts.
    settings: dict[str, str]


class Catalogue(Frozen):
    relations: dict[str, Relation]
    foreign_keys: tuple[ForeignKey, ...]
    functions: dict[str, tuple[Function, ...]]
    # Per role that the API may become: its `alter role … set`, applied to each of its transactions.
    role_settings: dict[str, dict[str, str]]
    pre_request: str | None


async def load_catalogue(connection: psycopg.AsyncConnection[Any]) -> Catalogue:
    """Read everything in one transaction. The search_path is empty, so that every type name comes qualified."""
    async with connection.transaction():
        await connection.execute("set local search_path = ''")
        relations = await _rows(connection, RELATIONS)
        keys = await _rows(connection, FOREIGN_KEYS)
        functions = await _rows(connection, FUNCTIONS)
        roles = await _rows(connection, ROLES)
        pre_request = await _rows(connection, PRE_REQUEST)
    return Catalogue(
        relations={row[0]: _make_relation(row) for row in relations},
        foreign_keys=tuple(_make_key(row) for row in keys),
        functions=_group_functions(functions),
        role_settings={name: dict(pair.split("=", 1) for pair in settings) for name, settings in roles},
        pre_request=pre_request[0][0] if pre_request else None,
    )


async def _rows(connection: psycopg.AsyncConnection[Any], query: str) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(query)
    return await cursor.fetchall()


def _make_relation(row: Sequence[Any]) -> Relation:
    name, columns, primary_key = row
    return Relation(name=name, columns=_make_columns(columns), primary_key=tuple(primary_key))


def _make_columns(columns: Sequence[dict[str, Any]]) -> dict[str, Column]:
    return {column["name"]: Column(**column) for column in columns}


def _make_key(row: Sequence[Any]) -> ForeignKey:
    name, table, columns, target, target_columns, is_one_to_one, in_primary_key = row
    return ForeignKey(
        name=name,
        table=table,
        columns=tuple(columns),
        target=target,
        target_columns=tuple(target_columns),
        is_one_to_one=is_one_to_one,
        in_primary_key=in_primary_key,
    )


def _group_functions(rows: Sequence[Sequence[Any]]) -> dict[str, tuple[Function, ...]]:
    grouped: dict[str, list[Function]] = defaultdict(list)
    for name, arguments, returns_set, shape, columns, relation, is_volatile, settings in rows:
        grouped[name].append(
            Function(
                name=name,
                arguments=tuple(Argument(**argument) for argument in arguments),
                returns_set=returns_set,
                shape=shape,
                columns=_make_columns(columns),
                relation=relation,
                is_volatile=is_volatile,
                settings=dict(pair.split("=", 1) for pair in settings),
            )
        )
    return {name: tuple(functions) for name, functions in grouped.items()}


COLUMNS_OF = """
    select coalesce(jsonb_agg(jsonb_build_object(
        'name', a.attname,
        'type', format_type(a.atttypid, a.atttypmod),
        'default', pg_get_expr(d.adbin, d.adrelid),
        'is_generated', a.attgenerated <> '' or a.attidentity = 'a'
    ) order by a.attnum), '[]')
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = {oid} and a.attnum > 0 and not a.attisdropped
"""

RELATIONS = f"""
select c.relname,
    ({COLUMNS_OF.format(oid="c.oid")}),
    array(
        select a.attname::text from pg_constraint k
        cross join unnest(k.conkey) with ordinality as part(number, position)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = part.number
        where k.conrelid = c.oid and k.contype = 'p' order by part.position
    )
from pg_class c
where c.relnamespace = '{SCHEMA}'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""  # noqa: S608 - no part of it comes from outside

FOREIGN_KEYS = f"""
select k.conname, source.relname,
    array(select a.attname::text from unnest(k.conkey) with ordinality as part(number, position)
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = part.number order by part.position),
    target.relname,
    array(select a.attname::text from unnest(k.confkey) with ordinality as part(number, position)
        join pg_attribute a on a.attrelid = k.confrelid and a.attnum = part.number order by part.position),
    exists (select from pg_constraint u where u.conrelid = k.conrelid and u.contype in ('p', 'u')
        and u.conkey <@ k.conkey),
    exists (select from pg_constraint p where p.conrelid = k.conrelid and p.contype = 'p' and k.conkey <@ p.conkey)
from pg_constraint k
join pg_class source on source.oid = k.conrelid
join pg_class target on target.oid = k.confrelid
where k.contype = 'f' and k.conparentid = 0
    and source.relnamespace = '{SCHEMA}'::regnamespace and target.relnamespace = '{SCHEMA}'::regnamespace
order by k.conname
"""  # noqa: S608 - no part of it comes from outside

# proallargtypes is null when there are only IN arguments; modes: i in, o out, b in and out, v variadic, t table column.
FUNCTIONS = f"""
select p.proname,
    (select coalesce(jsonb_agg(jsonb_build_object(
        'name', coalesce(input.name, ''),
        'type', format_type(input.type, null),
        'is_required', input.place <= p.pronargs - p.pronargdefaults,
        'is_variadic', input.mode = 'v'
     ) order by input.place), '[]')
     from (
        select part.name, part.type, coalesce(part.mode, 'i') as mode,
            row_number() over (order by part.position) as place
        from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames, p.proargmodes)
            with ordinality as part(type, name, mode, position)
        where coalesce(part.mode, 'i') in ('i', 'b', 'v')
     ) as input),
    p.proretset,
    case when p.prorettype = 'pg_catalog.void'::regtype then 'void'
         when result.typtype = 'c' or outputs.number > 1 or outputs.is_table then 'row'
         else 'scalar' end,
    case when result.typtype = 'c' then ({COLUMNS_OF.format(oid="result.typrelid")}) else outputs.columns end,
    case when owner.relnamespace = '{SCHEMA}'::regnamespace and owner.relkind in ('r', 'p', 'v', 'm', 'f')
         then owner.relname end,
    p.provolatile = 'v',
    array(select setting from unnest(p.proconfig) as setting
        where split_part(setting, '=', 1) in ('statement_timeout', 'default_transaction_isolation'))
from pg_proc p
join pg_type result on result.oid = p.prorettype
left join pg_class owner on owner.oid = result.typrelid
cross join lateral (
    select count(*) as number, coalesce(bool_or(part.mode = 't'), false) as is_table,
        coalesce(jsonb_agg(jsonb_build_object('name', part.name, 'type', format_type(part.type, null))
            order by part.position), '[]') as columns
    from unnest(p.proallargtypes, p.proargnames, p.proargmodes)
        with ordinality as part(type, name, mode, position)
    where part.mode in ('o', 'b', 't')
) as outputs
where p.pronamespace = '{SCHEMA}'::regnamespace and p.prokind = 'f'
    and p.prorettype not in ('pg_catalog.trigger'::regtype, 'pg_catalog.event_trigger'::regtype)
"""  # noqa: S608 - no part of it comes from outside

# Settings that only a superuser may change would make every request of the role fail; PostgREST leaves them out too.
ROLES = """
select r.rolname, array(
    select entry.text from pg_db_role_setting s cross join unnest(s.setconfig) as entry(text)
    left join pg_settings known on known.name = split_part(entry.text, '=', 1)
    where s.setrole = r.oid and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
        and coalesce(known.context, 'user') = 'user' and split_part(entry.text, '=', 1) <> 'search_path'
    order by s.setdatabase
)
from pg_roles r where pg_has_role(current_user, r.oid, 'member') and r.rolname <> current_user
"""

PRE_REQUEST = """
select format('%I.%I', n.nspname, p.proname)
from pg_db_role_setting s cross join unnest(s.setconfig) as entry(text)
join pg_proc p on p.pronargs = 0
join pg_namespace n on n.oid = p.pronamespace
where s.setrole = (select oid from pg_roles where rolname = current_user)
    and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
    and split_part(entry.text, '=', 1) = 'pgrst.db_pre_request'
    and split_part(entry.text, '=', 2) in (n.nspname || '.' || p.proname, format('%I.%I', n.nspname, p.proname))
limit 1
"""
