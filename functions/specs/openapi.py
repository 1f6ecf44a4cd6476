"""The API's description, generated from the models that the function works with: OpenAPI 3.1.

python -m functions.specs.openapi > docs/openapi.json
"""

from __future__ import annotations

import functools
import json
import sys
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from functions._shared.api.asked import EXAMPLE, NewAnswer, NewSpec, NewUpload, SearchSpecs, SubmitUpload
from functions._shared.api.told import AnsweredSpec, Failure, Page, SpecPage, SubmittedSpec, Success, Upload
from functions._shared.envelope import Rendered

VERSION = "1.0.0"
SUBMITTED, PAGE, UPLOAD = Success[SubmittedSpec], Success[SpecPage], Success[Upload]
ANSWERED = Success[AnsweredSpec]
ANSWERS: dict[str, type[BaseModel]] = {
    "SubmittedAnswer": SUBMITTED,
    "SpecAnswer": PAGE,
    "UploadAnswer": UPLOAD,
    "AnsweredAnswer": ANSWERED,
    "ListAnswer": Page,
    "Failure": Failure,
}
ASKED: tuple[type[BaseModel], ...] = (NewSpec, NewUpload, SubmitUpload, NewAnswer, SearchSpecs)
# Status → what it means here; each is answered with the envelope of a refusal.
REFUSALS = {
    400: "The body cannot be read.",
    401: "The key or token is missing, or does not count.",
    403: "The key or the role is not for this.",
    404: "There is no such thing for you.",
    409: "It cannot be done now; `code` says why.",
    413: "The body is too large: upload it.",
    415: "The body's media type is not read here.",
    422: "What was sent can be read, and not be used; each problem with its place.",
    429: "Too many requests, or too many specifications in a day. `Retry-After` says when to come again.",
    503: "A service that we need is away. Try again.",
}
ALWAYS = (401, 403, 429, 503)
EXAMPLE_ID = "0b8e7a4e-3c7c-5d0e-9a55-5b1f0f5f6d10"
RATE_HEADERS = {
    "X-RateLimit-Limit": {"description": "Requests in a minute.", "schema": {"type": "integer"}},
    "X-RateLimit-Remaining": {"description": "How many are left.", "schema": {"type": "integer"}},
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "One key, one effect, one answer for 24 hours. The same key with another body is refused.",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,255}$", "minLength": 1, "maxLength": 255},
}
SPEC_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The specification's id.",
    "schema": {"type": "string", "format": "uuid"},
    "example": EXAMPLE_ID,
}
DESCRIPTION = """\
Hand in a specification, and follow it until its pull request is open. Every answer is `{"data", "meta", "errors"}`; an
error has a stable `code`, a `message` with its fix, and the place where there is one. 100 requests a minute for each
caller; 429 comes with `Retry-After`. Pages of the origins in AICD_CORS_ORIGINS may call from a browser (CORS); none may
by default. docs/api.md has examples for curl and for the official `supabase` client, and the signed webhook."""


@functools.cache
def describe() -> dict[str, Any]:
    """The whole document."""
    schemas = _schemas()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Specifications",
            "version": VERSION,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": "specs", "description": "Specifications and what becomes of them."}],
        "paths": {
            "/specs": {"get": _list(schemas), "post": _post_spec()},
            "/specs/uploads": {"post": _post_upload()},
            "/specs/{id}/submit": {"post": _post_submit()},
            "/specs/{id}/answers": {"post": _post_answer()},
            "/specs/{id}": {"get": _get_spec()},
        },
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key (`aicd_…`, scopes specs:read and specs:write), or the token of a "
                    "signed-in Supabase user, who may do what his role in each project allows.",
                }
            },
            "schemas": schemas,
        },
    }


def render() -> Rendered:
    """GET /openapi.json: the document itself, without an envelope."""
    headers = {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "public, max-age=300"}
    return spell(), 200, headers


def spell() -> str:
    return json.dumps(describe(), indent=2, ensure_ascii=False) + "\n"


def _schemas() -> dict[str, Any]:
    template = "#/components/schemas/{model}"
    modes: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in ASKED]
    modes += [(model, "serialization") for model in ANSWERS.values()]
    _, document = models_json_schema(modes, ref_template=template)
    schemas: dict[str, Any] = document["$defs"]
    # A generic model's own name has brackets, which no component may have.
    for name, model in ANSWERS.items():
        given = model.__name__.replace("[", "_").replace("]", "_")
        if given != name and given in schemas:
            schemas[name] = schemas.pop(given) | {"title": name}
    return dict(sorted(schemas.items()))


def _list(schemas: dict[str, Any]) -> dict[str, Any]:
    # The query's model is told as parameters.
    query = schemas.pop("SearchSpecs")
    parameters = []
    for name, schema in query["properties"].items():
        description = schema.pop("description", "")
        parameter = {"name": name, "in": "query", "required": False, "schema": _without_null(schema)}
        parameters.append(parameter | ({"description": description} if description else {}))
    return {
        "operationId": "listSpecs",
        "summary": "List specifications, newest first",
        "description": "Of every project that you may read. Paged by key: hand `meta.next_cursor` on as `cursor`.",
        "tags": ["specs"],
        "parameters": parameters,
        "responses": {"200": _answer("ListAnswer", "One page."), **_refusals(422)},
    }


def _post_spec() -> dict[str, Any]:
    text = {"schema": {"type": "string"}}
    content: dict[str, Any] = {
        "application/json": {"schema": _ref("NewSpec")},
        "application/yaml": text | {"examples": {"greeting": {"value": EXAMPLE}}},
        "text/markdown": text,
    }
    submitted = _answer("SubmittedAnswer", "Taken in: its sprints wait, or run already.", location=True)
    duplicate = _answer("SubmittedAnswer", "It was here already; nothing was made.", location=True)
    return {
        "operationId": "createSpec",
        "summary": "Hand in a specification",
        "description": "Wrapped in JSON, or as it is with its own media type (a JSON object with none of the fields "
        "below is the specification itself). The same bytes for the same repository "
        "are one specification for 24 hours, whoever hands them in, by API or by mail.",
        "tags": ["specs"],
        "parameters": [IDEMPOTENCY_KEY],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": duplicate, "201": submitted, **_refusals(400, 409, 413, 415, 422)},
    }


def _post_upload() -> dict[str, Any]:
    return {
        "operationId": "createUpload",
        "summary": "Ask for a signed URL to store a specification",
        "description": "For what is too large for a request, or must not pass through this function.",
        "tags": ["specs"],
        "parameters": [IDEMPOTENCY_KEY],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("NewUpload")}}},
        "responses": {"201": _answer("UploadAnswer", "Where to store it."), **_refusals(400, 409, 413, 415, 422)},
    }


def _post_submit() -> dict[str, Any]:
    return {
        "operationId": "submitUpload",
        "summary": "Hand in what was stored",
        "description": "Its bytes must have the size and hash that were declared (409 hash-mismatch, upload-missing). "
        "Submitting again is answered with the same specification.",
        "tags": ["specs"],
        "parameters": [SPEC_ID, IDEMPOTENCY_KEY],
        "requestBody": {"required": False, "content": {"application/json": {"schema": _ref("SubmitUpload")}}},
        "responses": {
            "200": _answer("SubmittedAnswer", "It was here already; nothing was made.", location=True),
            "201": _answer("SubmittedAnswer", "Taken in.", location=True),
            **_refusals(400, 404, 409, 413, 415, 422),
        },
    }


def _post_answer() -> dict[str, Any]:
    return {
        "operationId": "answerSpec",
        "summary": "Answer the open questions of a specification",
        "description": "What a sprint in NEEDS_INPUT waits to be told is in `open_questions` of showSpec. With the "
        "answer it goes on (409 sprint-not-waiting where nothing waits).",
        "tags": ["specs"],
        "parameters": [SPEC_ID, IDEMPOTENCY_KEY],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("NewAnswer")}}},
        "responses": {
            "200": _answer("AnsweredAnswer", "The sprints that go on."),
            **_refusals(400, 404, 409, 413, 415, 422),
        },
    }


def _get_spec() -> dict[str, Any]:
    return {
        "operationId": "showSpec",
        "summary": "Show a specification with sprints, runs, verdict, pull requests and artifacts",
        "description": "Links to artifacts open without a token for an hour.",
        "tags": ["specs"],
        "parameters": [SPEC_ID],
        "responses": {"200": _answer("SpecAnswer", "All about it."), **_refusals(404, 422)},
    }


def _answer(schema: str, description: str, *, location: bool = False) -> dict[str, Any]:
    headers: dict[str, Any] = dict(RATE_HEADERS)
    if location:
        headers["Location"] = {"description": "The specification's path.", "schema": {"type": "string"}}
    return {"description": description, "headers": headers, "content": {"application/json": {"schema": _ref(schema)}}}


def _refusals(*statuses: int) -> dict[str, Any]:
    content = {"application/json": {"schema": _ref("Failure")}}
    found = {str(status): {"description": REFUSALS[status], "content": content} for status in (*statuses, *ALWAYS)}
    found["429"] = found["429"] | {
        "headers": {"Retry-After": {"description": "Seconds.", "required": True, "schema": {"type": "integer"}}}
    }
    return dict(sorted(found.items()))


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is not wanted is left out; it is never null."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "title")}
    if rest.get("default", "") is None:
        del rest["default"]
    return {**rest, **options[0]} if options else rest


if __name__ == "__main__":
    sys.stdout.write(spell())
