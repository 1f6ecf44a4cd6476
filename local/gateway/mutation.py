"""INSERT, UPDATE and DELETE from a JSON body. The body goes to Postgres as it came, and Postgres reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from local.gateway.catalogue import SCHEMA, Column, Relation
from local.gateway.errors import RestError
from local.gateway.grammar import parse_names
from local.gateway.plan import Node
from local.gateway.preferences import Preferences
from local.gateway.query import Query, quote


class Payload(BaseModel):
    """A JSON object or list of objects, with the columns that it sets."""

    model_config = ConfigDict(frozen=True)

    text: str
    is_list: bool
    is_empty: bool
    columns: tuple[str, ...]


def parse_json(body: bytes) -> Any:
    """Raises RestError PGRST102 for anything that is not JSON, however it is broken."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RestError(400, "PGRST102", "Empty or invalid json") from error


def parse_payload(body: bytes, parameters: Sequence[tuple[str, str]]) -> Payload:
    """The columns come from `columns=` if given, else from the keys, which then must be the same in all objects."""
    data = parse_json(body)
    rows = data if isinstance(data, list) else [data]
    if not all(isinstance(row, dict) for row in rows):
        raise RestError(400, "PGRST102", "All elements of the body must be objects")
    named = [value for key, value in parameters if key == "columns"]
    columns = parse_names(named[-1]) if named else tuple(rows[0]) if rows else ()
    if not named and any(row.keys() != rows[0].keys() for row in rows):
        raise RestError(400, "PGRST102", "All object keys must match")
    return Payload(text=body.decode(), is_list=isinstance(data, list), is_empty=not rows, columns=columns)


def insert_statement(
    relation: Relation, payload: Payload, parameters: Sequence[tuple[str, str]], preferences: Preferences, query: Query
) -> str | None:
    """INSERT … SELECT from the body, without RETURNING; None when there is nothing to insert."""
    if payload.is_empty:
        return None
    columns = _require_columns(relation, payload.columns)
    target = f"insert into {quote(SCHEMA)}.{quote(relation.name)} as {quote(relation.name)}"
    if not columns:
        return f"{target} default values"
    names = ", ".join(quote(column.name) for column in columns)
    source = _records(payload, columns, query, fills_defaults=preferences.fills_defaults)
    # Quoted names, numbered parameters, and types and defaults as the catalogue writes them.
    statement = f"{target} ({names}) select {names} from {source}"  # noqa: S608
    return statement + _on_conflict(relation, columns, parameters, preferences)


def update_statement(relation: Relation, payload: Payload, node: Node, query: Query) -> str | None:
    """UPDATE … FROM the body, without RETURNING; None when the body sets nothing."""
    columns = _require_columns(relation, payload.columns)
    if not columns or payload.is_empty:
        return None
    changes = ", ".join(f"{quote(column.name)} = pgrst_body.{quote(column.name)}" for column in columns)
    source = _records(payload, columns, query)
    table = f"{quote(SCHEMA)}.{quote(relation.name)} as {quote(relation.name)}"
    return f"update {table} set {changes} from {source}{query.where(node, relation.name)}"  # noqa: S608


def delete_statement(relation: Relation, node: Node, query: Query) -> str:
    """DELETE, without RETURNING."""
    table = f"{quote(SCHEMA)}.{quote(relation.name)} as {quote(relation.name)}"
    return f"delete from {table}{query.where(node, relation.name)}"  # noqa: S608


def _records(payload: Payload, columns: Sequence[Column], query: Query, *, fills_defaults: bool = False) -> str:
    """The body as a table. A key that is missing reads as null, or as the column's default where that was asked for."""
    body = f"{query.bind(payload.text)}::json"
    if not payload.is_list:
        body = f"json_build_array({body})"
    if fills_defaults:
        pairs = ", ".join(
            f"{query.bind(column.name)}::text, {column.default}" for column in columns if column.default is not None
        )
        body = (
            f"(select json_agg(jsonb_build_object({pairs}) || element) "  # noqa: S608
            f"from jsonb_array_elements(({body})::jsonb) as element)"
        )
    typed = ", ".join(f"{quote(column.name)} {column.type}" for column in columns)
    return f"json_to_recordset({body}) as pgrst_body({typed})"


def _require_columns(relation: Relation, names: Sequence[str]) -> list[Column]:
    for name in names:
        if name not in relation.columns:
            raise RestError(
                400, "PGRST204", f"Could not find the '{name}' column of '{relation.name}' in the schema cache"
            )
    return [relation.columns[name] for name in dict.fromkeys(names)]


def _on_conflict(
    relation: Relation, columns: Sequence[Column], parameters: Sequence[tuple[str, str]], preferences: Preferences
) -> str:
    if preferences.resolution is None:
        return ""
    named = [value for key, value in parameters if key == "on_conflict"]
    target = parse_names(named[-1]) if named else relation.primary_key
    if not target:
        return ""
    arbiter = ", ".join(quote(column.name) for column in _require_columns(relation, target))
    if preferences.resolution == "ignore-duplicates":
        return f" on conflict ({arbiter}) do nothing"
    changes = ", ".join(f"{quote(column.name)} = excluded.{quote(column.name)}" for column in columns)
    return f" on conflict ({arbiter}) do update set {changes}"
