"""The verbs' rows → what callers are told."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

from controlplane.store.member import read_rows
from functions._shared.api.told import SpecLine, SubmittedSpec

Row = Mapping[str, Any]
Model = TypeVar("Model", bound=BaseModel)
# What matters first, as private.state_of has it.
PRECEDENCE = ("NEEDS_INPUT", "NEEDS_APPROVAL", "RUNNING", "PAUSED", "FAILED", "PLANNED", "CANCELLED")


def path_of(spec_id: str) -> str:
    return f"/specs/{spec_id}"


def state_of(states: Iterable[str]) -> str:
    """One word for a whole specification."""
    seen = set(states)
    return next((state for state in PRECEDENCE if state in seen), "DONE")


def line_facts(row: Row) -> dict[str, Any]:
    """The fields of SpecLine that a row has under another name, or not at all."""
    sprints = row["sprints"]
    return {
        **row,
        "sha256": row["sha"],
        "state": row.get("state") or state_of(sprint["state"] for sprint in sprints),
        "links": {"self": path_of(str(row["id"]))},
    }


def view_line(row: Row) -> SpecLine:
    return build(SpecLine, line_facts(row))


def view_submitted(row: Row, *, duplicate: bool, notes: tuple[str, ...]) -> SubmittedSpec:
    facts = line_facts(row) | {"spec_id": row["id"], "duplicate": duplicate, "notes": notes}
    return build(SubmittedSpec, facts)


def build(model: type[Model], facts: Row) -> Model:
    """Raises BrokenPromise when the database answers in another form than this version reads."""
    adapter: TypeAdapter[Model] = adapter_of(model)
    return read_rows(adapter, facts)


@functools.cache
def adapter_of(model: type[Model]) -> TypeAdapter[Model]:
    return TypeAdapter(model)


def as_json(told: BaseModel) -> Any:
    """As it is sent, and kept for who asks again."""
    return told.model_dump(mode="json")
