"""Judges JSON documents against a provider's published schemas, and remembers every mismatch.

Published schemas are looser than the services behind them: a misspelt field would pass. So an object that lists its
properties and does not say otherwise is closed here, for requests and for the double's own answers alike.
"""

from __future__ import annotations

import base64
import re
import string
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from jsonschema import Draft4Validator, FormatChecker, ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT4

ROOT = "urn:aicd:published"
FORMATS = FormatChecker(formats=())
_BASE64URL = f"{string.ascii_letters}{string.digits}-_".encode()
Side = Literal["request", "answer"]


@dataclass(frozen=True)
class Problem:
    """One exchange that broke the published contract. `side` says who broke it: the caller or the double itself."""

    side: Side
    operation: str
    details: tuple[str, ...]


@dataclass
class Problems:
    """Every mismatch seen since the start, in order. Safe to use from several threads."""

    _entries: list[Problem] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, side: Side, operation: str, details: Iterable[str]) -> None:
        problem = Problem(side, operation, tuple(details))
        with self._lock:
            self._entries.append(problem)
        print(f"double: {side} mismatch in {operation}: {'; '.join(problem.details)}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def as_documents(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(problem) | {"details": list(problem.details)} for problem in self._entries]


class Schemas:
    """Validators for the parts of one published document, built once each.

    `prepare` has already been applied to the document, and references start with `ROOT`.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._registry: Registry[Any] = Registry().with_resource(ROOT, DRAFT4.create_resource(document))
        self._validators: dict[int, tuple[Any, Draft4Validator]] = {}

    def problems(self, schema: Mapping[str, Any], document: object, where: str) -> list[str]:
        """What is wrong with the document, at most five findings, each naming its place."""
        # The schema is kept beside its validator: an id is only unique while its object lives.
        _, validator = self._validators.get(id(schema), (None, None))
        if validator is None:
            validator = Draft4Validator(schema, registry=self._registry, format_checker=FORMATS)
            self._validators[id(schema)] = (schema, validator)
        errors = sorted(validator.iter_errors(document), key=lambda error: list(map(str, error.absolute_path)))
        return [f"{where}{error.json_path.removeprefix('$')}: {_brief(error)}" for error in errors[:5]]


def _brief(error: ValidationError) -> str:
    """The message, unless it recites a large document: then the rule that was broken."""
    return (
        error.message if len(error.message) <= 300 else f"breaks {error.validator}: {str(error.validator_value)[:200]}"
    )


def prepare(node: Any) -> Any:
    """A schema in the shape that the validator reads: OpenAPI's `nullable` spelled out, unlisted properties refused."""
    if isinstance(node, list):
        return [prepare(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {
        key: {name: prepare(inner) for name, inner in value.items()} if key == "properties" else _inner(key, value)
        for key, value in node.items()
        if key != "nullable"
    }
    if "properties" in schema and "allOf" not in schema:
        schema.setdefault("additionalProperties", False)
    return _with_null(schema) if node.get("nullable") is True else schema


def _inner(key: str, value: Any) -> Any:
    return value if key in ("enum", "required", "$ref") else prepare(value)


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "type" in schema and not {"oneOf", "anyOf", "allOf"} & schema.keys():
        nullable = schema | {"type": [schema["type"], "null"]}
        return nullable | ({"enum": [*schema["enum"], None]} if "enum" in schema else {})
    return {"anyOf": [schema, {"type": "null"}]}


@FORMATS.checks("date-time")
def _is_date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


@FORMATS.checks("uri")
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"]+", value) is not None


@FORMATS.checks("int32")
def _is_int32(value: object) -> bool:
    return not isinstance(value, int) or -(2**31) <= value < 2**31


@FORMATS.checks("int64")
def _is_int64(value: object) -> bool:
    """Google writes 64-bit numbers as strings, GitHub as numbers; both carry this format."""
    if isinstance(value, str):
        return re.fullmatch(r"-?[0-9]{1,19}", value) is not None
    return not isinstance(value, int) or -(2**63) <= value < 2**63


@FORMATS.checks("uint64")
def _is_uint64(value: object) -> bool:
    return not isinstance(value, str) or (re.fullmatch(r"[0-9]{1,20}", value) is not None and int(value) < 2**64)


@FORMATS.checks("byte")
def _is_byte(value: object) -> bool:
    """Google's `byte` format: base64 in the URL-safe alphabet (RFC 4648 section 5), padding optional."""
    return not isinstance(value, str) or _is_base64url(value)


def _is_base64url(text: str) -> bool:
    """Fast enough for the forty megabytes that a large attachment becomes."""
    bare = text.rstrip("=")
    alien = bare.encode("ascii", "replace").translate(None, _BASE64URL)
    return not alien and len(text) - len(bare) <= 2 and len(bare) % 4 != 1


def decode_base64url(text: str) -> bytes | None:
    """The bytes, or None when the text is not URL-safe base64 (so `+`, `/` and line breaks are refused)."""
    if not _is_base64url(text):
        return None
    bare = text.rstrip("=")
    return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))


def encode_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii")
