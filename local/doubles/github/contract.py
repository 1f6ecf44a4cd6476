"""What GitHub publishes about its REST API: the subset of its OpenAPI description, as a contract."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from local.doubles.exchange import Answer, Call, Match, NotJson, RefusedCall
from local.doubles.github.amendments import amend
from local.doubles.validation import ROOT, Schemas, prepare

SUBSET = Path(__file__).parent / "openapi.json"
API_VERSIONS = ("2022-11-28", "2026-03-10")
DOCUMENTATION = "https://docs.github.com/rest"
# Git allows slashes in these, and GitHub takes them unescaped.
MAY_HOLD_SLASHES = frozenset({"ref", "branch", "path", "basehead"})
WITHOUT_SLASH, WITH_SLASH = r"[^/]+", r".+"


@dataclass(frozen=True)
class Operation:
    """One published operation with its path as a pattern."""

    id: str
    method: str
    pattern: re.Pattern[str]
    literal_length: int
    parameters: Mapping[str, Mapping[str, Any]]
    path_schemas: Mapping[str, Any]
    body: Mapping[str, Any] | None
    body_required: bool
    responses: Mapping[str, Any]


def _rooted(node: Any) -> Any:
    if isinstance(node, list):
        return [_rooted(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: ROOT + value if key == "$ref" and isinstance(value, str) else _rooted(value) for key, value in node.items()
    }


def _pattern(template: str) -> re.Pattern[str]:
    def group(name: str) -> str:
        return f"(?P<{name}>{WITH_SLASH if name in MAY_HOLD_SLASHES else WITHOUT_SLASH})"

    pieces = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(group(p) if place % 2 else re.escape(p) for place, p in enumerate(pieces)))


def _operations(paths: Mapping[str, Any]) -> Iterator[Operation]:
    for template, methods in paths.items():
        for method, raw in methods.items():
            body = raw.get("requestBody")
            yield Operation(
                id=raw["operationId"],
                method=method.upper(),
                pattern=_pattern(template),
                literal_length=len(re.sub(r"\{\w+\}", "", template)),
                parameters={p["name"]: prepare(p["schema"]) for p in raw["parameters"] if p["in"] == "query"},
                path_schemas={p["name"]: prepare(p["schema"]) for p in raw["parameters"] if p["in"] == "path"},
                body=prepare(body["schema"]) if body else None,
                body_required=bool(body and body["required"]),
                responses={status: prepare(schema) for status, schema in raw["responses"].items()},
            )


class OpenApiContract:
    """The contract of GitHub's REST API, API versions 2022-11-28 (default) and 2026-03-10."""

    def __init__(self) -> None:
        subset = _rooted(amend(json.loads(SUBSET.read_bytes())))
        schemas = {name: prepare(schema) for name, schema in subset["components"]["schemas"].items()}
        self._schemas = Schemas({"components": {"schemas": schemas}})
        self.operations = {operation.id: operation for operation in _operations(subset["paths"])}
        self._by_precision = sorted(self.operations.values(), key=lambda operation: -operation.literal_length)
        self._error = {"$ref": f"{ROOT}#/components/schemas/basic-error"}

    def find(self, method: str, path: str) -> Match | None:
        for candidate in self._by_precision:
            found = candidate.pattern.fullmatch(path)
            if found and candidate.method == method:
                return Match(candidate.id, {name: unquote(value) for name, value in found.groupdict().items()})
        return None

    def request_problems(self, match: Match, call: Call, document: object) -> list[str]:
        operation = self.operations[match.operation]
        version = call.headers.get("x-github-api-version", API_VERSIONS[0])
        wrong = [] if version in API_VERSIONS else [f"X-GitHub-Api-Version {version} is not supported"]
        for name, value in match.path.items():
            wrong += self._text_problems(operation.path_schemas[name], value, f"path {name}")
        for name, value in call.query:
            schema = operation.parameters.get(name)
            wrong += (
                self._text_problems(schema, value, f"query {name}") if schema else [f"query {name}: unknown parameter"]
            )
        return [*wrong, *self._body_problems(operation, document, version)]

    def _body_problems(self, operation: Operation, document: object, version: str) -> list[str]:
        if isinstance(document, NotJson):
            return ["Problems parsing JSON"]
        if document is None:
            return ["Body should be a JSON object"] if operation.body_required else []
        if operation.body is None:
            # PyGithub sends an empty object where nothing is asked for, and GitHub takes it.
            return [] if document == {} else ["this operation takes no request body"]
        gone = _is_mapping_with(document, "return_run_details") and version != API_VERSIONS[0]
        removed = [f"return_run_details is no parameter any more in {version}"] if gone else []
        return [*removed, *self._schemas.problems(operation.body, document, "body")]

    def _text_problems(self, schema: Mapping[str, Any], text: str, where: str) -> list[str]:
        """Judges a parameter's text as each JSON value that it can stand for."""
        readings: list[object] = [text]
        if re.fullmatch(r"-?[0-9]{1,19}", text):
            readings.append(int(text))
        if text in ("true", "false"):
            readings.append(text == "true")
        found = [self._schemas.problems(schema, reading, where) for reading in readings]
        return [] if [] in found else found[0]

    def answer_problems(self, match: Match | None, answer: Answer) -> list[str]:
        responses = self.operations[match.operation].responses if match else {}
        documented = responses.get(str(answer.status))
        if answer.status >= 400:
            # All of GitHub's errors carry `status`; only basic-error remembers to say so.
            known = {name: value for name, value in (answer.document or {}).items() if name != "status"}
            return self._schemas.problems(documented or self._error, known, "answer")
        if str(answer.status) not in responses:
            return [f"{answer.status} is not a documented answer"]
        if documented is None:
            return [] if answer.document is None else ["this answer has no body"]
        return self._schemas.problems(documented, answer.document, "answer")

    def refuse(self, refusal: RefusedCall) -> Answer:
        """GitHub's error shape; `errors` and `headers` may be given as details."""
        document = {"message": refusal.message, "documentation_url": DOCUMENTATION, "status": str(refusal.status)}
        errors = refusal.details.get("errors")
        headers = refusal.details.get("headers", {})
        return Answer(refusal.status, document | ({"errors": errors} if errors else {}), headers)


def _is_mapping_with(document: object, key: str) -> bool:
    return isinstance(document, dict) and key in document
