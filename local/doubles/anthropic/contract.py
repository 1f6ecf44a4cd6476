"""Whether a request is one that the Messages API would take, by the types that the SDK publishes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args, get_type_hints

import jsonschema
from pydantic import TypeAdapter, ValidationError

VERSIONS = ("2023-06-01", "2026-10-21")
# https://docs.claude.com/en/api/versioning: what the second version no longer takes.
GONE = ("temperature", "top_p", "top_k")
NEVER_JSON = "the body is no JSON object"


def find_problems(headers: Mapping[str, str], document: object, *, beta: bool) -> list[str]:
    """What is wrong with a request for a message; empty when nothing is."""
    if not isinstance(document, dict):
        return [NEVER_JSON]
    version = headers.get("anthropic-version", "")
    problems = [] if version in VERSIONS else [f"anthropic-version: '{version}' is not one of {', '.join(VERSIONS)}"]
    known = _fields(beta=beta)
    problems += [f"{name}: unknown field" for name in document if name not in known]
    if version == VERSIONS[1]:
        problems += [f"{name}: not taken by {version}" for name in GONE if name in document]
    try:
        _adapter(beta=beta).validate_python(document)
    except ValidationError as error:
        problems += [f"{'.'.join(map(str, one['loc'][:8]))}: {one['msg']}" for one in error.errors()[:5]]
    return problems or _broken_turns(document["messages"])


def answer_problems(schema: dict[str, Any] | None, data: object) -> list[str]:
    """Whether a structured answer of ours follows the schema that was asked for."""
    if schema is None:
        return []
    validator = jsonschema.Draft202012Validator(schema)
    return [f"{error.json_path}: {error.message[:200]}" for error in list(validator.iter_errors(data))[:5]]


def _broken_turns(messages: list[dict[str, Any]]) -> list[str]:
    """The API's rules between messages: a user begins, and each tool call is answered by the very next message."""
    problems = [] if messages and messages[0]["role"] == "user" else ["messages: the first one must be the user's"]
    open_calls: set[str] = set()
    for place, message in enumerate(messages):
        blocks = message["content"] if isinstance(message["content"], list) else []
        if message["role"] == "system":
            continue
        answered = {block.get("tool_use_id", "") for block in blocks if block.get("type") == "tool_result"}
        if message["role"] == "user":
            problems += [f"messages.{place}: tool_use {one} has no tool_result" for one in open_calls - answered]
            problems += [f"messages.{place}: tool_result for unknown {one}" for one in answered - open_calls]
            open_calls = set()
        else:
            open_calls |= {block.get("id", "") for block in blocks if block.get("type") == "tool_use"}
    return problems


@cache
def _adapter(*, beta: bool) -> TypeAdapter[Any]:
    return TypeAdapter(_params(beta=beta))


@cache
def _fields(*, beta: bool) -> frozenset[str]:
    """Every field that a request may have, streaming or not."""
    return frozenset(name for shape in get_args(_params(beta=beta)) for name in get_type_hints(shape))


def _params(*, beta: bool) -> Any:
    import anthropic.types.beta.message_create_params as beta_params
    import anthropic.types.message_create_params as stable_params

    module = beta_params if beta else stable_params
    return module.MessageCreateParams
