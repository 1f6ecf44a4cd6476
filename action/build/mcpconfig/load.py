"""Reading the input `mcp-config`: JSON in the input itself, or the path of a file that holds it.

`${NAME}` in values of `env` and `headers` is replaced from a closed list that the maintainer gives; nothing else of the
environment can be reached. All problems are reported at once, each with its server and its key, none with a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from action.build.mcpconfig.servers import NAME, OWN_NAME, McpConfig, McpServer
from action.build.mcpconfig.spellings import TOP, BadEntry, normalise
from controlplane.errors import UsageError

MOST_BYTES = 256 * 1024
MOST_SERVERS = 20
REFERENCE = re.compile(r"\$\{([^}]*)\}?")
FIX = "Correct the input `mcp-config`; docs/mcp.md shows an example that works."


def load_mcp_config(source: str, variables: Mapping[str, str] | None = None) -> McpConfig:
    """`source` is JSON text, or a path; empty means no servers. `variables` is all that `${NAME}` may name.

    Raises UsageError `mcp-config`.
    """
    if not source.strip():
        return McpConfig()
    text = source if source.lstrip().startswith("{") else _read_file(Path(source.strip()))
    entries = _entries(_parse(text))
    if len(entries) > MOST_SERVERS:
        raise _wrong([f"there are {len(entries)} servers; at most {MOST_SERVERS} are started"])
    problems: list[str] = []
    notes: list[str] = []
    servers: list[McpServer] = []
    for name, entry in entries.items():
        try:
            servers.append(_server(name, entry, variables or {}, notes))
        except ValidationError as error:
            problems += [f"server '{name[:60]}', {_say(one)}" for one in error.errors()]
        except BadEntry as error:
            problems.append(f"server '{name[:60]}', {error}")
    if problems:
        raise _wrong(problems)
    return McpConfig(servers=tuple(servers), notes=tuple(notes))


def _read_file(path: Path) -> str:
    try:
        data = path.read_bytes() if path.stat().st_size <= MOST_BYTES else None
    except (OSError, ValueError):
        raise _wrong(["it is neither JSON nor the path of a file that can be read"]) from None
    if data is None:
        raise _wrong([f"the file has more than {MOST_BYTES} bytes"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _wrong(["the file is not UTF-8"]) from None


def _parse(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, object_pairs_hook=_without_twins)
    except RecursionError:
        raise _wrong(["it is nested too deep"]) from None
    except json.JSONDecodeError as error:
        raise _wrong([f"it is no JSON: line {error.lineno}, column {error.colno}: {error.msg}"]) from None
    except ValueError as error:
        raise _wrong([str(error)]) from None
    if not isinstance(document, dict):
        raise _wrong(["it must be a JSON object"])
    return document


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twin = next((name for name in names if names.count(name) > 1), None) if len(names) < 500 else None
    if twin is not None:
        raise ValueError(f"the key '{twin[:60]}' is written twice in one object")
    return dict(pairs)


def _entries(document: dict[str, Any]) -> dict[str, Any]:
    written = [key for key in TOP if key in document]
    if not written:
        raise _wrong(["the key `mcpServers` is missing"])
    if len(written) > 1:
        raise _wrong([f"{' and '.join(f'`{key}`' for key in written)} are both written; keep one"])
    entries = document[written[0]]
    if not isinstance(entries, dict):
        raise _wrong([f"`{written[0]}` must be an object: the servers by name"])
    return entries


def _server(name: str, entry: Any, variables: Mapping[str, str], notes: list[str]) -> McpServer:
    if not NAME.fullmatch(name):
        raise BadEntry("name: only letters, digits, - and _ are allowed")
    if name == OWN_NAME:
        raise BadEntry("name: is the one of our own server; choose another")
    if not isinstance(entry, dict):
        raise BadEntry("must be an object")
    plain, ignored = normalise(entry)
    if ignored:
        notes.append(f"MCP server '{name}': {', '.join(sorted(ignored))} changes nothing here.")
    referenced: set[str] = set()
    for key in ("env", "headers"):
        if key in plain:
            plain[key], names = _expand(key, plain[key], variables)
            referenced |= names
    return McpServer.model_validate({**plain, "name": name, "secrets_referenced": frozenset(referenced)})


def _expand(key: str, values: Any, variables: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
    """The values with their references replaced, and the names of those that had one."""
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise BadEntry(f"{key}: must be an object of texts")
    expanded: dict[str, str] = {}
    referenced: set[str] = set()
    for name, value in values.items():
        expanded[name] = _replace(value, f"{key}.{name}", variables)
        if REFERENCE.search(value):
            referenced.add(name)
    return expanded, referenced


def _replace(value: str, where: str, variables: Mapping[str, str]) -> str:
    return REFERENCE.sub(lambda found: _look_up(found, where, variables), value)


def _look_up(found: re.Match[str], where: str, variables: Mapping[str, str]) -> str:
    name = found[1]
    if not found[0].endswith("}") or name not in variables:
        known = ", ".join(sorted(variables)) or "none is given"
        raise BadEntry(f"{where}: ${{{name[:60]}}} is not among the variables given to this run ({known})")
    value = variables[name]
    if not value:
        raise BadEntry(f"{where}: ${{{name}}} is empty; is the secret set for this repository?")
    # The agent's program expands what is left in the form ${…} by itself, from its own environment.
    if "${" in value:
        raise BadEntry(f"{where}: the value of ${{{name}}} holds `${{`, which would be read as another reference")
    return value


def _say(problem: Any) -> str:
    """pydantic's words, in ours where they would not help."""
    place = ".".join(str(part) for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "is no key of an MCP server"
    return f"{place}: {message}" if place else message


def _wrong(problems: list[str]) -> UsageError:
    return UsageError(f"The input mcp-config cannot be used: {'; '.join(problems)}.", FIX, "mcp-config")
