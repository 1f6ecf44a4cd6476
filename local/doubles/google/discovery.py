"""What Google publishes about its APIs: the discovery documents that google-api-python-client carries.

They hold every path, parameter, enum and schema of Gmail's API, so the double judges itself and its callers by Google's
own words. They list no required fields: what Gmail demands beyond the schema is checked where it matters, such as in
`sending.py`.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from local.doubles.exchange import Answer, Call, Match, NotJson, RefusedCall
from local.doubles.validation import ROOT, Schemas, prepare

# Canonical names of the statuses that Google puts beside the number (google.rpc.Code).
STATUS_NAMES = {
    400: ("INVALID_ARGUMENT", "invalidArgument"),
    401: ("UNAUTHENTICATED", "authError"),
    403: ("PERMISSION_DENIED", "forbidden"),
    404: ("NOT_FOUND", "notFound"),
    409: ("ALREADY_EXISTS", "aborted"),
    413: ("INVALID_ARGUMENT", "uploadTooLarge"),
    429: ("RESOURCE_EXHAUSTED", "rateLimitExceeded"),
    500: ("INTERNAL", "backendError"),
    501: ("UNIMPLEMENTED", "notImplemented"),
    503: ("UNAVAILABLE", "backendError"),
}


# What stands in `details` too, and what Google calls it there (google.rpc.ErrorInfo).
ERROR_INFOS = {
    "accessNotConfigured": ("SERVICE_DISABLED", "googleapis.com"),
    "insufficientPermissions": ("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "googleapis.com"),
    "rateLimitExceeded": ("RATE_LIMIT_EXCEEDED", "googleapis.com"),
    "userRateLimitExceeded": ("RATE_LIMIT_EXCEEDED", "googleapis.com"),
}
DOMAINS = {"accessNotConfigured": "usageLimits", "rateLimitExceeded": "usageLimits",
           "userRateLimitExceeded": "usageLimits", "dailyLimitExceeded": "usageLimits"}  # fmt: skip


def load_document(name: str) -> dict[str, Any]:
    """A discovery document such as `gmail.v1`, found without importing the (slow) client itself."""
    found = importlib.util.find_spec("googleapiclient")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("google-api-python-client is not installed: its discovery documents are needed")
    folder = Path(found.submodule_search_locations[0]) / "discovery_cache" / "documents"
    document: dict[str, Any] = json.loads((folder / f"{name}.json").read_bytes())
    return document


def _rooted(node: Any) -> Any:
    """The schema with its references (bare names in discovery documents) made absolute, prose left out."""
    if isinstance(node, list):
        return [_rooted(item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return {"$ref": f"{ROOT}#/schemas/{node['$ref']}"}
    keep = ("type", "format", "enum", "items", "additionalProperties", "minimum", "maximum", "pattern")
    schema = {key: _rooted(node[key]) for key in keep if key in node}
    if "properties" in node:
        schema["properties"] = {name: _rooted(inner) for name, inner in node["properties"].items()}
    return schema


@dataclass(frozen=True)
class Method:
    """One published method with its path as a pattern."""

    id: str
    http_method: str
    pattern: re.Pattern[str]
    literal_length: int
    parameters: Mapping[str, Any]
    request: Mapping[str, Any] | None
    response: Mapping[str, Any] | None
    scopes: frozenset[str]


def _methods(resource: Mapping[str, Any]) -> Iterator[Method]:
    for raw in resource.get("methods", {}).values():
        template = raw.get("flatPath", raw["path"])
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template))
        yield Method(
            id=raw["id"],
            http_method=raw["httpMethod"],
            pattern=re.compile(f"/{pattern}"),
            literal_length=len(re.sub(r"\{\w+\}", "", template)),
            parameters=raw.get("parameters", {}),
            request=_rooted(raw["request"]) if "request" in raw else None,
            response=_rooted(raw["response"]) if "response" in raw else None,
            scopes=frozenset(raw.get("scopes", ())),
        )
    for inner in resource.get("resources", {}).values():
        yield from _methods(inner)


class DiscoveryContract:
    """The contract of one Google API."""

    def __init__(self, name: str) -> None:
        document = load_document(name)
        self._schemas = Schemas({"schemas": {k: prepare(_rooted(v)) for k, v in document["schemas"].items()}})
        self._common = document["parameters"]
        self.methods = {method.id: method for method in _methods(document)}
        self._by_precision = sorted(self.methods.values(), key=lambda method: -method.literal_length)

    def find(self, method: str, path: str) -> Match | None:
        for candidate in self._by_precision:
            found = candidate.pattern.fullmatch(path)
            if found and candidate.http_method == method:
                return Match(candidate.id, {name: unquote(value) for name, value in found.groupdict().items()})
        return None

    def schema_problems(self, name: str, document: object, where: str) -> list[str]:
        """Judges a document against one named schema."""
        return self._schemas.problems({"$ref": f"{ROOT}#/schemas/{name}"}, document, where)

    def request_problems(self, match: Match, call: Call, document: object) -> list[str]:
        method = self.methods[match.operation]
        return [*self._query_problems(method, call), *self._body_problems(method, call, document)]

    def _query_problems(self, method: Method, call: Call) -> Iterator[str]:
        known = {name: p for name, p in method.parameters.items() if p["location"] == "query"}
        given = [name for name, _ in call.query]
        for name, value in call.query:
            parameter = known.get(name) or self._common.get(name)
            if parameter is None:
                yield f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.'
                continue
            if given.count(name) > 1 and not parameter.get("repeated"):
                yield f"query {name} may be given once"
            yield from self._value_problems(name, value, parameter)

    def _value_problems(self, name: str, value: str, parameter: Mapping[str, Any]) -> list[str]:
        kind = parameter.get("type")
        if kind == "integer" and not re.fullmatch(r"-?[0-9]{1,19}", value):
            return [f"query {name}: {value!r} is not a number"]
        if kind == "boolean" and value not in ("true", "false"):
            return [f"query {name}: {value!r} is not true or false"]
        if "enum" in parameter and value not in parameter["enum"]:
            return [f"query {name}: {value!r} is not one of {', '.join(parameter['enum'])}"]
        if kind == "string" and parameter.get("format") == "uint64" and not re.fullmatch(r"[0-9]{1,20}", value):
            return [f"query {name}: {value!r} is not an unsigned number"]
        return []

    def _body_problems(self, method: Method, call: Call, document: object) -> list[str]:
        if method.request is None:
            return ["this method takes no request body"] if call.body and document != {} else []
        if isinstance(document, NotJson):
            return ["the request body is not JSON"]
        if call.body and not call.headers.get("content-type", "").startswith("application/json"):
            return ["the request body must be application/json"]
        return self._schemas.problems(method.request, {} if document is None else document, "body")

    def answer_problems(self, match: Match | None, answer: Answer) -> list[str]:
        if answer.status >= 400:
            return [] if _is_error(answer.document) else ["the error is not in Google's shape"]
        schema = self.methods[match.operation].response if match else None
        if schema is None:
            return [] if answer.document is None else ["this method answers with an empty body"]
        return self._schemas.problems(schema, answer.document, "answer")

    def refuse(self, refusal: RefusedCall) -> Answer:
        """Google's error shape, in both its forms where Google sends both; `reason` and `headers` may be given as
        details."""
        status, word = STATUS_NAMES.get(refusal.status, ("UNKNOWN", "unknown"))
        reason = refusal.details.get("reason", word)
        error = {"message": refusal.message, "domain": DOMAINS.get(reason, "global"), "reason": reason}
        document = {"code": refusal.status, "message": refusal.message, "errors": [error], "status": status}
        if reason in ERROR_INFOS:
            newer, domain = ERROR_INFOS[reason]
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": newer, "domain": domain}
            document["details"] = [info | {"metadata": {"service": "gmail.googleapis.com"}}]
        return Answer(refusal.status, {"error": document}, refusal.details.get("headers", {}))


def _is_error(document: Any) -> bool:
    error = document.get("error") if isinstance(document, dict) else None
    return isinstance(error, dict) and {"code", "message", "errors", "status"} <= error.keys()
