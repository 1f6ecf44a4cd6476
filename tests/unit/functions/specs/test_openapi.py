"""The API's description: committed as generated, valid, and its examples are what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from controlplane.specfile import check_spec
from functions._shared.api.asked import EXAMPLE
from functions.specs.openapi import REFUSALS, describe, spell

COMMITTED = Path(__file__).parents[4] / "docs" / "openapi.json"


def operations() -> list[dict[str, Any]]:
    return [operation for path in describe()["paths"].values() for operation in path.values()]


def test_committed_description_is_the_generated_one() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == spell(), "python -m functions.specs.openapi > docs/openapi.json"


def test_description_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(json.loads(spell())).validate()


def test_every_example_holds_against_its_own_schema() -> None:
    document = describe()
    tried = 0
    for schema in document["components"]["schemas"].values():
        validator = Draft202012Validator({**schema, "components": document["components"]})
        for example in schema.get("examples", []):
            validator.validate(example)
            tried += 1
    assert tried >= 2


def test_every_request_has_an_example() -> None:
    """One of its media types shows it: with the media type, or with the schema that it names."""
    document = describe()
    for operation in operations():
        contents = operation.get("requestBody", {}).get("content", {}).values()
        shown = [
            content.get("examples") or resolve(document, content["schema"]).get("examples") for content in contents
        ]
        assert not shown or any(shown), operation["operationId"]


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
    return named


def test_example_specification_can_be_built() -> None:
    assert check_spec(EXAMPLE.encode(), "spec.yaml").valid


def test_every_operation_says_how_it_refuses() -> None:
    for operation in operations():
        refused = {int(status) for status in operation["responses"] if status[0] in "45"}
        assert {401, 403, 429, 503} <= refused <= REFUSALS.keys(), operation["operationId"]
