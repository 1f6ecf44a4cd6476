"""A JSON body: its media type, the document, and the document as a model."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from functions._shared.api.refusals import Unreadable, UnsupportedMediaType, invalid_fields
from functions._shared.endpoint import Call

Model = TypeVar("Model", bound=BaseModel)

JSON = "application/json"


def media_type(call: Call) -> str:
    return call.header("Content-Type").partition(";")[0].strip().lower()


def parse_body(model: type[Model], call: Call, *, may_be_empty: bool = False) -> Model:
    """A JSON body as the model. Raises UnsupportedMediaType, Unreadable, Invalid."""
    if may_be_empty and not call.body.strip():
        return parse(model, {})
    if media_type(call) not in (JSON, ""):
        raise UnsupportedMediaType("This body is read as JSON only.", fix=f"Send Content-Type: {JSON}.")
    return parse(model, load_json(call.body))


def parse(model: type[Model], document: Any) -> Model:
    """Raises Invalid, naming each field. Strict: a text is no number, and "yes" is no truth."""
    try:
        return model.model_validate(document, strict=True)
    except ValidationError as error:
        raise invalid_fields(error, model) from error


def load_json(body: bytes) -> Any:
    """JSON of bounded size and depth (controlplane/specfile has the bounds), without what only Python calls JSON."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise Unreadable(
            f"The body is not JSON: {error.msg}.",
            fix="Send one JSON object, or the specification itself with its own media type.",
            details={"line": error.lineno, "column": error.colno},
        ) from error
    except (ValueError, RecursionError) as error:
        raise Unreadable("The body is not JSON in UTF-8, or nested too deeply.", fix="Send one JSON object.") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
