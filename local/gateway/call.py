"""Choosing the function that a request means, and writing its call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from local.gateway.catalogue import SCHEMA, Argument, Catalogue, Function
from local.gateway.errors import RestError
from local.gateway.mutation import parse_json
from local.gateway.query import Query, quote

JSON_TYPES = frozenset({"json", "jsonb"})


class FunctionCall(BaseModel):
    """A function with what it is called with: a body of named values, or values from the query string."""

    model_config = ConfigDict(frozen=True)

    function: Function
    body: str | None
    values: dict[str, list[str]]
    names: frozenset[str]

    def render(self, query: Query) -> tuple[str, str]:
        """The call as an item of FROM, and what must stand before the statement, which may go on with more CTEs."""
        function = self.function
        target = f"{quote(SCHEMA)}.{quote(function.name)}"
        arguments = [argument for argument in function.arguments if argument.name in self.names]
        if _takes_whole_body(function):
            return f"{target}({query.bind(self.body)}::{function.arguments[0].type})", ""
        if self.body is None:
            return f"{target}({', '.join(self._from_query(argument, query) for argument in arguments)})", ""
        if not arguments:
            return f"{target}()", ""
        typed = ", ".join(f"{quote(argument.name)} {argument.type}" for argument in arguments)
        prefix = (
            f"with pgrst_arguments as (select * from json_to_record({query.bind(self.body)}::json) as body({typed}))"  # noqa: S608
        )
        passed = ", ".join(
            f"{_keyword(argument)}(select {quote(argument.name)} from pgrst_arguments)"  # noqa: S608
            for argument in arguments
        )
        return f"{target}({passed})", prefix

    def filters(self, parameters: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The parameters that are no arguments."""
        return [(key, value) for key, value in parameters if self.body is not None or key not in self.names]

    def _from_query(self, argument: Argument, query: Query) -> str:
        values = self.values[argument.name]
        # A variadic argument is repeated, or written as one array literal; of any other the last value counts.
        is_repeated = argument.is_variadic and not values[0].startswith("{")
        value = values if is_repeated else values[-1]
        return f"{_keyword(argument)}{query.bind(value)}::{argument.type}"


def choose_function(
    catalogue: Catalogue, name: str, method: str, parameters: Sequence[tuple[str, str]], body: bytes
) -> FunctionCall:
    """The one overload whose arguments fit. Raises RestError PGRST202 when none does, PGRST203 when several do."""
    candidates = catalogue.functions.get(name, ())
    if method == "POST":
        return _choose_for_body(name, candidates, body)
    known = {argument.name for candidate in candidates for argument in candidate.arguments}
    values: dict[str, list[str]] = {}
    for key, value in parameters:
        if key in known:
            values.setdefault(key, []).append(value)
    function = _choose(name, candidates, frozenset(values))
    return FunctionCall(function=function, body=None, values=values, names=frozenset(values))


def _choose_for_body(name: str, candidates: Sequence[Function], body: bytes) -> FunctionCall:
    data: Any = parse_json(body) if body.strip() else {}
    whole = [candidate for candidate in candidates if _takes_whole_body(candidate)]
    names = frozenset(data) if isinstance(data, dict) else frozenset()
    fitting = [candidate for candidate in candidates if _fits(candidate, names)] if isinstance(data, dict) else []
    if not fitting and len(whole) == 1:
        return FunctionCall(function=whole[0], body=body.decode(), values={}, names=frozenset())
    if not isinstance(data, dict):
        raise RestError(400, "PGRST102", "The body of a function call must be an object")
    function = _choose(name, candidates, names)
    return FunctionCall(function=function, body=body.decode() or "{}", values={}, names=names)


def _choose(name: str, candidates: Sequence[Function], names: frozenset[str]) -> Function:
    fitting = [candidate for candidate in candidates if _fits(candidate, names)]
    if len(fitting) == 1:
        return fitting[0]
    described = f"public.{name}({', '.join(sorted(names))})" if names else f"public.{name}"
    if fitting:
        raise RestError(
            300,
            "PGRST203",
            f"Could not choose the best candidate function between {len(fitting)} of the name {described}",
            hint="Rename the parameters or the function, so that one call means one function",
        )
    near = "; ".join(f"{name}({', '.join(part.name for part in item.arguments)})" for item in candidates[:3])
    raise RestError(
        404,
        "PGRST202",
        f"Could not find the function {described} in the schema cache",
        details=f"Searched for the function {described} with these parameter names, but no matches were found.",
        hint=f"Perhaps you meant to call {near}" if near else None,
    )


def _fits(function: Function, names: frozenset[str]) -> bool:
    if _takes_whole_body(function):
        return False
    known = {argument.name for argument in function.arguments}
    needed = {argument.name for argument in function.arguments if argument.is_required and not argument.is_variadic}
    return needed <= names <= known


def _takes_whole_body(function: Function) -> bool:
    """PostgREST hands the whole body to a function of one argument without a name."""
    return len(function.arguments) == 1 and not function.arguments[0].name and function.arguments[0].type in JSON_TYPES


def _keyword(argument: Argument) -> str:
    return f"{'variadic ' if argument.is_variadic else ''}{quote(argument.name)} := "
