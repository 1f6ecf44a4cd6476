"""From a plan to SQL. Names are quoted and come from the catalogue; whatever the caller wrote is a parameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from local.gateway.catalogue import SCHEMA, Column
from local.gateway.errors import RestError
from local.gateway.grammar import Comparison, Condition, Field, Logic, Order, Path, Star
from local.gateway.plan import Link, Node, is_embed_filter

SYMBOLS = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "like": "like",
    "ilike": "ilike",
    "match": "~",
    "imatch": "~*",
    "isdistinct": "is distinct from",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxl": "&>",
    "nxr": "&<",
    "adj": "-|-",
}
SEARCHES = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
CASTS = frozenset(
    (
        *("text", "varchar", "uuid", "json", "jsonb", "bytea", "tsvector", "boolean", "bool"),
        *("smallint", "int2", "integer", "int", "int4", "bigint", "int8", "numeric"),
        *("real", "float4", "float8", "double precision"),
        *("date", "time", "timestamp", "timestamptz", "interval"),
        *("text[]", "integer[]", "int4[]", "uuid[]", "jsonb[]"),
    )
)
JSON_TYPES = frozenset({"json", "jsonb"})


def quote(name: str) -> str:
    """An SQL identifier. A zero byte cannot be sent at all, so it is refused here, with a reason."""
    if "\0" in name:
        raise RestError(400, "PGRST100", "a name contains a zero byte")
    return '"' + name.replace('"', '""') + '"'


class Query:
    """Collects the parameters of one statement, numbered as Postgres numbers them."""

    def __init__(self, max_rows: int) -> None:
        self.parameters: list[Any] = []
        self._max_rows = max_rows
        self._aliases = 0

    def bind(self, value: Any) -> str:
        if isinstance(value, str) and "\0" in value:
            raise RestError(400, "22021", 'invalid byte sequence for encoding "UTF8": 0x00')
        self.parameters.append(value)
        return f"${len(self.parameters)}"

    def new_alias(self, name: str) -> str:
        self._aliases += 1
        return f"{name[:40]}_{self._aliases}"

    def select(self, node: Node, alias: str, source: str | None = None, where: Sequence[str] = ()) -> str:
        """A SELECT of the node's rows. `source` replaces the relation, for functions; `where` adds conditions."""
        source = source or f"{quote(SCHEMA)}.{quote(node.relation)} as {quote(alias)}"
        # Safe: quoted names and numbered parameters only.
        return (
            f"select {self.field_list(node, alias)} from {source}"  # noqa: S608
            f"{self.where(node, alias, where)}{self._order(node, alias)}{self._limit(node)}"
        )

    def count(self, node: Node, alias: str, source: str | None = None) -> str:
        """A SELECT of how many rows there are without limit and offset."""
        source = source or f"{quote(SCHEMA)}.{quote(node.relation)} as {quote(alias)}"
        return f"select count(*) from {source}{self.where(node, alias)}"  # noqa: S608

    def field_list(self, node: Node, alias: str) -> str:
        fields = [self._field(node, alias, item) for item in node.fields]
        for name, (_, link, child) in node.children.items():
            if child.fields or child.children:
                fields.append(f"{self._embed(alias, link, child)} as {quote(name)}")
        return ", ".join(fields)

    def where(self, node: Node, alias: str, extra: Sequence[str] = ()) -> str:
        conditions = [*extra, *self.conditions(node, alias)]
        return f" where {' and '.join(conditions)}" if conditions else ""

    def conditions(self, node: Node, alias: str) -> list[str]:
        conditions = [self._condition(node, alias, condition) for condition in node.conditions]
        for item, link, child in node.children.values():
            if item.is_inner:
                conditions.append(self._exists(alias, link, child))
        return conditions

    def expression(self, columns: dict[str, Column], relation: str, alias: str, path: Path) -> str:
        column = require_column(columns, relation, path.column)
        text = f"{quote(alias)}.{quote(column.name)}"
        if path.steps and column.type not in JSON_TYPES:
            text = f"to_jsonb({text})"
        for arrow, step in path.steps:
            is_index = step.lstrip("-").isdigit() and step.isascii()
            text += f"{arrow}{self.bind(step)}::{'int' if is_index else 'text'}"
        return f"({text})" if path.steps else text

    def _field(self, node: Node, alias: str, item: Star | Field) -> str:
        if isinstance(item, Star):
            return f"{quote(alias)}.*"
        text = self.expression(node.columns, node.relation, alias, item.path)
        if item.cast is not None:
            if item.cast.lower() not in CASTS:
                raise RestError(400, "42704", f'type "{item.cast}" does not exist')
            text = f"cast({text} as {item.cast.lower()})"
        default_name = item.path.steps[-1][1] if item.path.steps else item.path.column
        return f"{text} as {quote(item.alias or default_name)}"

    def _embed(self, alias: str, link: Link, child: Node) -> str:
        child_alias = self.new_alias(child.relation)
        rows = self._linked_select(alias, link, child, child_alias)
        if link.is_list:
            return f"coalesce((select json_agg(row_to_json(part)) from ({rows}) as part), '[]')"  # noqa: S608
        return f"(select row_to_json(part) from ({rows}) as part)"  # noqa: S608

    def _exists(self, alias: str, link: Link, child: Node) -> str:
        child_alias = self.new_alias(child.relation)
        source, joins = self._link(alias, link, child, child_alias)
        return f"exists (select from {source}{self.where(child, child_alias, joins)})"

    def _linked_select(self, alias: str, link: Link, child: Node, child_alias: str) -> str:
        source, joins = self._link(alias, link, child, child_alias)
        return self.select(child, child_alias, source, joins)

    def _link(self, alias: str, link: Link, child: Node, child_alias: str) -> tuple[str, list[str]]:
        """The FROM clause of an embedded relation, and the conditions that tie it to the row around it."""
        source = f"{quote(SCHEMA)}.{quote(child.relation)} as {quote(child_alias)}"
        near = child_alias
        joins = []
        if link.junction is not None:
            near = self.new_alias(link.junction)
            source += f", {quote(SCHEMA)}.{quote(link.junction)} as {quote(near)}"
            joins = _equalities(near, child_alias, link.far_pairs)
        return source, joins + _equalities(alias, near, link.pairs)

    def _condition(self, node: Node, alias: str, condition: Condition) -> str:
        if isinstance(condition, Logic):
            parts = [self._condition(node, alias, part) for part in condition.conditions]
            return _negate(f"({f' {condition.operator} '.join(parts)})", is_negated=condition.is_negated)
        if is_embed_filter(node, condition):
            _, link, child = node.children[condition.path.column]
            asks_for_row = (str(condition.value).lower() == "not_null") != condition.is_negated
            return _negate(self._exists(alias, link, child), is_negated=not asks_for_row)
        left = self.expression(node.columns, node.relation, alias, condition.path)
        is_vector = not condition.path.steps and node.columns[condition.path.column].type == "tsvector"
        comparison = self._comparison(left, condition, is_vector=is_vector)
        return _negate(comparison, is_negated=condition.is_negated)

    def _search(self, left: str, condition: Comparison, *, is_vector: bool) -> str:
        """Full text: the words of a plain column are cut up in the language of the query."""
        language = "" if condition.language is None else f"{self.bind(condition.language)}::regconfig, "
        vector = left if is_vector else f"to_tsvector({language}{left})"
        return f"{vector} @@ {SEARCHES[condition.operator]}({language}{self.bind(condition.value)})"

    def _comparison(self, left: str, condition: Comparison, *, is_vector: bool) -> str:
        value = condition.value
        if condition.operator == "in":
            # One parameter for any number of values, and no type to be guessed: an array literal.
            return f"{left} = any({self.bind(_array_literal(value))})"
        if condition.operator == "is":
            word = str(value).lower()
            return f"{left} is {'not null' if word == 'not_null' else word}"
        if condition.operator in SEARCHES:
            return self._search(left, condition, is_vector=is_vector)
        text = str(value).replace("*", "%") if condition.operator in ("like", "ilike") else value
        right = self.bind(text)
        if condition.quantifier is not None:
            right = f"{condition.quantifier}({right})"
        return f"{left} {SYMBOLS[condition.operator]} {right}"

    def _order(self, node: Node, alias: str) -> str:
        terms = [self._order_term(node, alias, order) for order in node.order]
        return f" order by {', '.join(terms)}" if terms else ""

    def _order_term(self, node: Node, alias: str, order: Order) -> str:
        text = self.expression(node.columns, node.relation, alias, order.path)
        direction = " desc" if order.is_descending else ""
        return text + direction + (f" nulls {order.nulls}" if order.nulls else "")

    def _limit(self, node: Node) -> str:
        limit = self._max_rows if node.limit is None else min(node.limit, self._max_rows)
        offset = f" offset {node.offset}" if node.offset else ""
        return f" limit {limit}{offset}"


def require_column(columns: dict[str, Column], relation: str, name: str) -> Column:
    """Raises RestError 42703, as Postgres would."""
    column = columns.get(name)
    if column is None:
        raise RestError(400, "42703", f"column {relation}.{name} does not exist")
    return column


def _equalities(left: str, right: str, pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{quote(left)}.{quote(one)} = {quote(right)}.{quote(other)}" for one, other in pairs]


def _negate(text: str, *, is_negated: bool) -> str:
    return f"not ({text})" if is_negated else text


def _array_literal(values: str | tuple[str, ...]) -> str:
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"
