"""How Archon answers: one text block of JSON, and a failure that is no tool error but says `success: false`."""

from __future__ import annotations

import json
from typing import Any


def told(**data: Any) -> str:
    """A success."""
    return json.dumps({"success": True, **data})


def failed(kind: str, message: str, suggestion: str = "", http_status: int | None = None) -> str:
    """A failure; kinds are validation_error, not_found, invalid_action and the like."""
    error: dict[str, Any] = {"type": kind, "message": message}
    if suggestion:
        error["suggestion"] = suggestion
    if http_status is not None:
        error["http_status"] = http_status
    return json.dumps({"success": False, "error": error})


def missing(what: str, row_id: str) -> str:
    """There is no such row."""
    return failed("not_found", f"{what} {row_id} was not found", f"Look for it with find_{what.lower()}s.", 404)


def unknown_action(action: str, known: tuple[str, ...]) -> str:
    """The word is none of the tool's actions."""
    return failed("invalid_action", f"Unknown action: {action}", f"Use one of: {', '.join(known)}.")


def lacking(*names: str) -> str:
    """An argument that this action needs is not there."""
    return failed("validation_error", f"{', '.join(names)} required", "Give it and call again.")
