"""A request's body → what is handed in. The bytes of a specification are kept exactly as they came."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from controlplane.spec import SpecCheck
from controlplane.specfile import check_spec
from functions._shared.api.asked import NewSpec
from functions._shared.api.jsonbody import JSON, load_json, media_type, parse
from functions._shared.api.refusals import Unreadable, UnsupportedMediaType
from functions._shared.endpoint import Call

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


def check_handed(handed: Handed) -> SpecCheck:
    """What reading it gave."""
    return check_spec(handed.content, handed.hint)
