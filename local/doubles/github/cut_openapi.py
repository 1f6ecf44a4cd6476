"""Cuts GitHub's published OpenAPI document down to the operations that the double serves.

Run it when GitHub publishes a new description that matters to us:

    npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz
    python -m local.doubles.github.cut_openapi package

It rewrites `openapi.json` beside this file, and its licence. What a validator does not read (prose, examples, vendor
extensions) is dropped: 13 MB become some 200 KB. Nothing else is changed, so a difference between the double and
GitHub can only come from GitHub's own description. `amendments.py` holds the few places where GitHub's prose is wider
than its schema.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPO = "/repos/{owner}/{repo}"

OPERATIONS: dict[str, tuple[str, ...]] = {
    "/user": ("get",),
    "/rate_limit": ("get",),
    "/app/installations/{installation_id}/access_tokens": ("post",),
    REPO: ("get",),
    f"{REPO}/actions/runs": ("get",),
    f"{REPO}/actions/runs/{{run_id}}": ("get",),
    f"{REPO}/actions/runs/{{run_id}}/cancel": ("post",),
    f"{REPO}/actions/workflows": ("get",),
    f"{REPO}/actions/workflows/{{workflow_id}}": ("get",),
    f"{REPO}/actions/workflows/{{workflow_id}}/dispatches": ("post",),
    f"{REPO}/actions/workflows/{{workflow_id}}/runs": ("get",),
    f"{REPO}/branches": ("get",),
    f"{REPO}/branches/{{branch}}": ("get",),
    f"{REPO}/check-runs": ("post",),
    f"{REPO}/check-runs/{{check_run_id}}": ("get", "patch"),
    f"{REPO}/commits": ("get",),
    f"{REPO}/commits/{{ref}}": ("get",),
    f"{REPO}/commits/{{ref}}/check-runs": ("get",),
    f"{REPO}/commits/{{ref}}/status": ("get",),
    f"{REPO}/commits/{{ref}}/statuses": ("get",),
    f"{REPO}/compare/{{basehead}}": ("get",),
    f"{REPO}/contents/{{path}}": ("get", "put"),
    f"{REPO}/dispatches": ("post",),
    f"{REPO}/installation": ("get",),
    f"{REPO}/git/commits/{{commit_sha}}": ("get",),
    f"{REPO}/git/matching-refs/{{ref}}": ("get",),
    f"{REPO}/git/ref/{{ref}}": ("get",),
    f"{REPO}/git/refs": ("post",),
    f"{REPO}/git/refs/{{ref}}": ("patch", "delete"),
    f"{REPO}/git/trees/{{tree_sha}}": ("get",),
    f"{REPO}/issues/{{issue_number}}": ("get",),
    f"{REPO}/issues/{{issue_number}}/comments": ("get", "post"),
    f"{REPO}/issues/{{issue_number}}/labels": ("get", "post", "put"),
    f"{REPO}/issues/{{issue_number}}/labels/{{name}}": ("delete",),
    f"{REPO}/issues/comments/{{comment_id}}": ("get", "patch", "delete"),
    f"{REPO}/labels": ("get", "post"),
    f"{REPO}/pulls": ("get", "post"),
    f"{REPO}/pulls/{{pull_number}}": ("get", "patch"),
    f"{REPO}/pulls/{{pull_number}}/commits": ("get",),
    f"{REPO}/pulls/{{pull_number}}/files": ("get",),
    f"{REPO}/pulls/{{pull_number}}/merge": ("get", "put"),
    f"{REPO}/statuses/{{sha}}": ("post",),
}

# Keys of a schema that say something to a reader and nothing to a validator.
PROSE = frozenset(
    {"description", "title", "example", "examples", "externalDocs", "deprecated", "default", "discriminator"}
)
# Keys whose value maps free names to schemas: a property may well be called "description".
MAPS = frozenset({"properties", "patternProperties", "definitions"})


def strip_schema(schema: Any) -> Any:
    """The schema without prose, vendor extensions and defaults."""
    if isinstance(schema, list):
        return [strip_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in PROSE or key.startswith("x-"):
            continue
        if key in MAPS:
            kept[key] = {name: strip_schema(inner) for name, inner in value.items()}
        else:
            kept[key] = value if key in ("enum", "required") else strip_schema(value)
    return kept


def resolve(document: dict[str, Any], node: Any) -> Any:
    """The node itself, or what its `$ref` points to inside the document."""
    while isinstance(node, dict) and "$ref" in node:
        target: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def json_schema(document: dict[str, Any], node: Any) -> Any:
    """The stripped schema of a request body or response with JSON content, or None when it has none."""
    content = resolve(document, node).get("content", {})
    for media_type in ("application/json", "application/scim+json"):
        if media_type in content:
            return strip_schema(content[media_type]["schema"])
    return None


def cut_operation(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    parameters = [resolve(document, node) for node in operation.get("parameters", [])]
    cut: dict[str, Any] = {
        "operationId": operation["operationId"],
        "parameters": [
            {
                "name": p["name"],
                "in": p["in"],
                "required": p.get("required", False),
                "schema": strip_schema(p["schema"]),
            }
            for p in parameters
        ],
        "responses": {status: json_schema(document, node) for status, node in operation["responses"].items()},
    }
    if "requestBody" in operation:
        body = resolve(document, operation["requestBody"])
        cut["requestBody"] = {"required": body.get("required", False), "schema": json_schema(document, body)}
    return cut


def referenced(node: Any) -> set[str]:
    """Names of the component schemas that the node points to, not recursively."""
    if isinstance(node, list):
        return set().union(*map(referenced, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    found = {node["$ref"].rsplit("/", 1)[1]} if isinstance(node.get("$ref"), str) else set()
    return found.union(*(referenced(value) for value in node.values()))


def cut(document: dict[str, Any]) -> dict[str, Any]:
    """The subset: our operations and every component schema that they reach."""
    paths = {
        path: {method: cut_operation(document, document["paths"][path][method]) for method in methods}
        for path, methods in OPERATIONS.items()
    }
    schemas: dict[str, Any] = {}
    wanted = referenced(paths) | {"basic-error", "validation-error", "validation-error-simple"}
    while wanted:
        name = wanted.pop()
        schemas[name] = strip_schema(document["components"]["schemas"][name])
        wanted |= referenced(schemas[name]) - schemas.keys()
    return {
        "source": f"@octokit/openapi {document['info']['version']}, MIT licence: see openapi.LICENSE",
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def main(arguments: list[str]) -> int:
    """Usage: python -m local.doubles.github.cut_openapi PACKAGE, the unpacked @octokit/openapi package."""
    if len(arguments) != 1:
        print(main.__doc__, file=sys.stderr)
        return 2
    package = Path(arguments[0])
    document = json.loads((package / "generated" / "api.github.com.json").read_text())
    subset = json.dumps(cut(document), separators=(",", ":"), ensure_ascii=False)
    (HERE / "openapi.json").write_text(subset + "\n")
    (HERE / "openapi.LICENSE").write_text((package / "LICENSE").read_text())
    print(f"openapi.json: {len(subset.encode())} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
