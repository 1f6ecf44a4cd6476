"""A request's body → what is handed in. The bytes of a specification are kept exactly as they came."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from controlplane.specfile import check_spec
from functions._shared.api.asked import NewSpec
from functions._shared.api.refusals import Unreadable, UnsupportedMediaType, invalid_fields
from functions._shared.endpoint import Call

Model = TypeVar("Model", bound=BaseModel)

JSON = "application/json"
# A specification sent as it is: its media type, and the format that this means. None: found out from the text.
BARE: dict[str, str | None] = {
    "application/yaml": "yaml",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
    "text/x-yaml": "yaml",
    "text/markdown": "markdown",
    "text/plain": None,
    "application/octet-stream": None,
}
EXTENSIONS = {"yaml": "yaml", "json": "json", "markdown": "md", "text": "txt"}
# The fields of a wrapped specification beside it; with none of them, a JSON body without `spec` is a bare one.
WRAPPING = frozenset({"spec", "format", "name", "message_id", "again"})


@dataclass(frozen=True)
class Handed:
    """One specification as it was handed in. `has_positions` is False where the caller sent no text that lines could be
    counted in."""

    content: bytes
    name: str = ""
    format: str | None = None
    message_id: str = ""
    again: bool = False
    has_positions: bool = True

    @property
    def hint(self) -> str:
        """The name by which the format is guessed."""
        return f"spec.{EXTENSIONS[self.format]}" if self.format else self.name


def media_type(call: Call) -> str:
    return call.header("Content-Type").partition(";")[0].strip().lower()


def read_handed(call: Call) -> Handed:
    """Wrapped in JSON, or bare. Raises UnsupportedMediaType, Unreadable, Invalid."""
    kind = media_type(call)
    if kind in BARE:
        return Handed(call.body, format=BARE[kind])
    if kind not in (JSON, ""):
        raise UnsupportedMediaType(
            f"A body of type {kind[:60]!r} is not read here.", fix=f"Send {JSON}, or one of: {', '.join(sorted(BARE))}."
        )
    document = load_json(call.body)
    if isinstance(document, dict) and not document.keys() & WRAPPING and document:
        return Handed(call.body, format="json")
    return _unwrap(parse(NewSpec, document))


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
        raise invalid_fields(error) from error


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


def _unwrap(given: NewSpec) -> Handed:
    is_text = isinstance(given.spec, str)
    return Handed(
        content=_spell(given.spec).encode("utf-8", "surrogatepass"),
        name=given.name,
        format=given.format if is_text else "json",
        message_id=given.message_id,
        again=given.again,
        has_positions=is_text,
    )


def _spell(spec: str | dict[str, Any]) -> str:
    if isinstance(spec, str):
        return spec
    try:
        return json.dumps(spec, ensure_ascii=False, indent=2, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            "The specification is nested too deeply, or has a number that is none.",
            fix="A specification has a handful of levels.",
            details={"field": "spec"},
        ) from error


def check_handed(handed: Handed) -> Any:
    """What reading it gave."""
    return check_spec(handed.content, handed.hint)
