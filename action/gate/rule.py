"""What a criterion is to the gate: an id, a sentence, what was asked, and a judgement of the facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from action.gate.facts import Facts
from controlplane.dod import DefinitionOfDone
from controlplane.verdict import Status

EVIDENCE_KEPT = 20


@dataclass(frozen=True)
class Finding:
    """What the facts say about one criterion; the reason ends with the fix where one is needed."""

    status: Status
    reason: str
    actual: Any = None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """`required` answers None where the Definition of Done does not ask; else what is shown, and handed to `judge`."""

    id: str
    sentence: str
    required: Callable[[DefinitionOfDone, Facts], Any]
    judge: Callable[[Any, Facts], Finding]


def passed(reason: str, *, actual: Any, evidence: Iterable[str] = ()) -> Finding:
    return Finding("passed", reason, actual, bounded(evidence))


def failed(reason: str, *, actual: Any, evidence: Iterable[str] = ()) -> Finding:
    return Finding("failed", reason, actual, bounded(evidence))


def not_measured(reason: str, *, evidence: Iterable[str] = ()) -> Finding:
    """Not measured is not passed: it fails the gate, and has no `actual`."""
    return Finding("not_measured", reason, None, bounded(evidence))


def bounded(evidence: Iterable[str]) -> tuple[str, ...]:
    """At most twenty lines, and how many more there were; the others are never held."""
    lines = iter(evidence)
    kept = tuple(islice(lines, EVIDENCE_KEPT))
    more = sum(1 for _ in lines)
    return (*kept, f"and {more} more") if more else kept


def asked(key: str) -> Callable[[DefinitionOfDone, Facts], Any]:
    """For figures: asked when written."""

    def required(dod: DefinitionOfDone, _facts: Facts) -> Any:
        return getattr(dod, key)

    return required


def asked_true(key: str) -> Callable[[DefinitionOfDone, Facts], Any]:
    """For yes-or-no criteria: asked when written as true."""

    def required(dod: DefinitionOfDone, _facts: Facts) -> Any:
        return getattr(dod, key) or None

    return required
