"""/rest/v1: tables and functions, by PostgREST's rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from local.gateway.call import FunctionCall, choose_function
from local.gateway.catalogue import Catalogue, Function, Relation
from local.gateway.errors import NotServedError, RestError
from local.gateway.mutation import Payload, delete_statement, insert_statement, parse_payload, update_statement
from local.gateway.plan import Node, plan_read
from local.gateway.preferences import Preferences, Representation, read_preferences, read_representation
from local.gateway.query import Query
from local.gateway.settings import GatewaySettings
from local.gateway.transaction import Caller, Gate, Row

JSON_TYPE = "application/json; charset=utf-8"
Parameters = list[tuple[str, str]]


class Wish(BaseModel):
    """A request as far as it can be understood without the catalogue."""

    model_config = ConfigDict(frozen=True)

    method: str
    parameters: Parameters
    preferences: Preferences
    representation: Representation
    body: bytes


class RestService:
    """Turns requests into one statement each and its rows into responses."""

    def __init__(self, gate: Gate, settings: GatewaySettings) -> None:
        self._gate = gate
        self._settings = settings

    async def serve_relation(self, request: Request, caller: Caller, name: str) -> Response:
        wish = await self._read_wish(request)
        if wish.method not in ("GET", "HEAD", "POST", "PATCH", "DELETE"):
            raise NotServedError(f"{wish.method} on tables")
        return await self._with_fresh_catalogue(lambda: self._answer_relation(wish, caller, name))

    async def serve_function(self, request: Request, caller: Caller, name: str) -> Response:
        wish = await self._read_wish(request)
        if wish.method not in ("GET", "HEAD", "POST"):
            raise RestError(405, "PGRST101", f"Cannot use the {wish.method} method on RPC")
        return await self._with_fresh_catalogue(lambda: self._answer_function(wish, caller, name))

    async def _with_fresh_catalogue(self, answer: Callable[[], Any]) -> Response:
        """Answer; when a name is unknown, look at the database again before saying so."""
        try:
            response = await answer()
        except RestError as error:
            if error.body["code"] not in ("PGRST200", "PGRST202", "PGRST204", "PGRST205", "42703"):
                raise
            before = self._gate.catalogue
            await self._gate.reload()
            if self._gate.catalogue == before:
                raise
            response = await answer()
        assert isinstance(response, Response)
        return response

    async def _read_wish(self, request: Request) -> Wish:
        for header in ("accept-profile", "content-profile"):
            if request.headers.get(header, "public") != "public":
                raise RestError(406, "PGRST106", "The schema must be one of the following: public")
        body = b"" if request.method in ("GET", "HEAD") else await read_body(request, self._settings.max_body_bytes)
        query = request.scope["query_string"].decode("latin-1")
        return Wish(
            method=request.method,
            parameters=parse_qsl(query, keep_blank_values=True, encoding="utf-8", errors="replace"),
            preferences=read_preferences(request.headers.getlist("prefer")),
            representation=read_representation(request.headers.get("accept", "*/*")),
            body=body,
        )

    async def _answer_relation(self, wish: Wish, caller: Caller, name: str) -> Response:
        catalogue = self._gate.catalogue
        relation = catalogue.relations.get(name)
        if relation is None:
            raise RestError(404, "PGRST205", f"Could not find the table 'public.{name}' in the schema cache")
        if wish.method in ("GET", "HEAD"):
            node = plan_read(catalogue, wish.parameters, relation=name, columns=relation.columns)
            return await self._read(wish, caller, node, Query(self._settings.max_rows))
        return await self._mutate(wish, caller, catalogue, relation)

    async def _read(self, wish: Wish, caller: Caller, node: Node, query: Query) -> Response:
        source = query.select(node, node.relation)
        total = f"({query.count(node, node.relation)})" if wish.preferences.count else "null::bigint"
        statement = (
            f"with pgrst_source as materialized ({source}) select {total}, count(*), "  # noqa: S608
            f"{wish.representation.aggregate('pgrst_row')} from pgrst_source as pgrst_row"
        )
        check = _single_row_check(wish.representation)
        rows = await self._gate.run(caller, statement, query.parameters, is_read_only=True)
        check(rows)
        return _respond_with_rows(wish, rows[0], node.offset)

    async def _mutate(self, wish: Wish, caller: Caller, catalogue: Catalogue, relation: Relation) -> Response:
        node = plan_read(catalogue, wish.parameters, relation=relation.name, columns=relation.columns)
        if node.order or node.limit is not None or node.offset:
            raise NotServedError("order, limit and offset on insert, update and delete")
        query = Query(self._settings.max_rows)
        statement = self._mutation(wish, relation, node, query)
        if statement is None:
            return _respond_with_nothing(wish)
        wants_rows = wish.preferences.returns == "representation"
        body = wish.representation.aggregate("pgrst_row") if wants_rows else "''"
        # Without a representation nothing is read back: a role that may only write must be able to.
        returning = query.field_list(node, relation.name) if wants_rows else "1"
        full = (
            f"with pgrst_source as ({statement} returning {returning}) "  # noqa: S608
            f"select null::bigint, count(*), {body} from pgrst_source as pgrst_row"
        )
        rows = await self._gate.run(caller, full, query.parameters, approve=self._mutation_check(wish))
        return _respond_to_mutation(wish, rows[0])

    def _mutation(self, wish: Wish, relation: Relation, node: Node, query: Query) -> str | None:
        if wish.method == "POST":
            return insert_statement(relation, self._payload(wish), wish.parameters, wish.preferences, query)
        if not node.conditions and not any(item.is_inner for item, _, _ in node.children.values()):
            # What pg-safeupdate answers, which Supabase loads for the API.
            verb = "UPDATE" if wish.method == "PATCH" else "DELETE"
            raise RestError(400, "21000", f"{verb} requires a WHERE clause")
        if wish.method == "PATCH":
            return update_statement(relation, self._payload(wish), node, query)
        return delete_statement(relation, node, query)

    def _payload(self, wish: Wish) -> Payload:
        return parse_payload(wish.body, wish.parameters)

    def _mutation_check(self, wish: Wish) -> Callable[[list[Row]], None] | None:
        is_single = wish.representation.is_single and wish.preferences.returns == "representation"
        limit = wish.preferences.max_affected
        if not is_single and limit is None:
            return None

        def check(rows: list[Row]) -> None:
            if is_single:
                _single_row_check(wish.representation)(rows)
            if limit is not None and rows[0][1] > limit:
                raise RestError(
                    400,
                    "PGRST124",
                    "Query result exceeds max-affected preference constraint",
                    details=f"The query affects {rows[0][1]} rows",
                )

        return check

    async def _answer_function(self, wish: Wish, caller: Caller, name: str) -> Response:
        catalogue = self._gate.catalogue
        call = choose_function(catalogue, name, wish.method, wish.parameters, wish.body)
        function = call.function
        query = Query(self._settings.max_rows)
        # A function that promises not to write is held to it, as is everything called with GET.
        is_read_only = wish.method in ("GET", "HEAD") or not function.is_volatile
        statement, offset = self._call_statement(wish, catalogue, call, query)
        approve = _single_row_check(wish.representation) if function.shape == "row" and function.returns_set else None
        rows = await self._gate.run(
            caller,
            statement,
            query.parameters,
            is_read_only=is_read_only,
            function_settings=function.settings,
            approve=approve if wish.representation.is_single else None,
        )
        if function.shape == "void":
            return Response(status_code=204)
        return _respond_with_rows(wish, rows[0], offset)

    def _call_statement(self, wish: Wish, catalogue: Catalogue, call: FunctionCall, query: Query) -> tuple[str, int]:
        function = call.function
        target, prefix = call.render(query)
        if function.shape != "row":
            result = "json_agg(pgrst_call.value)" if function.returns_set else "json_agg(pgrst_call.value)->0"
            body = "''" if function.shape == "void" else f"coalesce(({result})::text, '{_empty(function)}')"
            return f"{prefix} select null::bigint, count(*), {body} from {target} as pgrst_call(value)", 0  # noqa: S608
        node = plan_read(
            catalogue,
            call.filters(wish.parameters),
            relation=function.relation or function.name,
            columns=function.columns,
            can_embed=function.relation is not None,
        )
        source = query.select(node, "pgrst_call", "pgrst_call")
        total = f"({query.count(node, 'pgrst_call', 'pgrst_call')})" if wish.preferences.count else "null::bigint"
        body = wish.representation.aggregate("pgrst_row", is_single=not function.returns_set)
        # Materialized: however often its rows are looked at, the function runs once.
        opening = f"{prefix}, " if prefix else "with "
        statement = (
            f"{opening}pgrst_call as materialized (select called.* from {target} as called), "  # noqa: S608
            f"pgrst_source as materialized ({source}) "
            f"select {total}, count(*), {body} from pgrst_source as pgrst_row"
        )
        return statement, node.offset


def _empty(function: Function) -> str:
    return "[]" if function.returns_set else "null"


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, if it is not longer than `limit`. Raises RestError 413 without reading on."""
    announced = request.headers.get("content-length", "0")
    too_large = RestError(413, "PGRST102", f"The body is larger than {limit} bytes")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large
        parts.append(part)
    return b"".join(parts)


def _single_row_check(representation: Representation) -> Callable[[list[Row]], None]:
    def check(rows: Sequence[Row]) -> None:
        if representation.is_single and rows[0][1] != 1:
            raise RestError(
                406,
                "PGRST116",
                "Cannot coerce the result to a single JSON object",
                details=f"The result contains {rows[0][1]} rows",
            )

    return check


def _respond_with_rows(wish: Wish, row: Row, offset: int) -> Response:
    total, count, body = row
    if total is not None and offset and offset >= total:
        raise RestError(
            416,
            "PGRST103",
            "Requested range not satisfiable",
            details=f"An offset of {offset} was requested, but there are only {total} rows.",
        )
    is_partial = total is not None and offset + count < total
    headers = {"Content-Range": _content_range(offset, count, total)}
    # HEAD says what GET would say, without saying it.
    content = "" if wish.method == "HEAD" else body
    return Response(content, 206 if is_partial else 200, headers, wish.representation.media_type)


def _content_range(offset: int, count: int, total: int | None) -> str:
    rows = f"{offset}-{offset + count - 1}" if count else "*"
    return f"{rows}/{'*' if total is None else total}"


def _respond_to_mutation(wish: Wish, row: Row) -> Response:
    _, count, body = row
    wants_rows = wish.preferences.returns == "representation"
    headers = {"Content-Range": f"*/{count if wish.preferences.count else '*'}"}
    if wish.preferences.applied:
        headers["Preference-Applied"] = wish.preferences.applied
    if wish.method == "POST":
        return Response(
            body if wants_rows else "", 201, headers, wish.representation.media_type if wants_rows else None
        )
    if wants_rows:
        return Response(body, 200, headers, wish.representation.media_type)
    return Response(status_code=204, headers=headers)


def _respond_with_nothing(wish: Wish) -> Response:
    """An empty list to insert, or no column to change: done before it began."""
    wants_rows = wish.preferences.returns == "representation"
    status = 201 if wish.method == "POST" else 200 if wants_rows else 204
    return Response(json.dumps([]) if wants_rows else "", status, {"Content-Range": "*/*"}, JSON_TYPE)
