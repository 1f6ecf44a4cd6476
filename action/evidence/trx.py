"""Visual Studio's TRX, as `dotnet test --logger trx` writes it."""

from __future__ import annotations

from action.evidence.attributed_cases import AttributedCasesReader, Attributes, Dialect
from action.evidence.figures import parse_seconds
from action.evidence.limits import Allowance
from controlplane.evidence import Outcome

_OUTCOMES: dict[str, Outcome] = {
    "passed": "passed",
    **dict.fromkeys(("failed", "timeout"), "failed"),
    **dict.fromkeys(("error", "aborted", "passedbutrunaborted", "disconnected", "inprogress"), "error"),
    **dict.fromkeys(("notexecuted", "inconclusive", "notrunnable", "pending", "warning", "completed"), "skipped"),
}


def is_trx(root: str, _attributes: Attributes) -> bool:
    return root == "TestRun"


def read_trx(allowance: Allowance) -> AttributedCasesReader:
    return AttributedCasesReader(allowance, _DIALECT)


def _seconds(attributes: Attributes) -> float | None:
    """`hh:mm:ss.fffffff`."""
    parts = [parse_seconds(part) for part in attributes.get("duration", "").split(":")]
    known = [part for part in parts if part is not None]
    return known[0] * 3600 + known[1] * 60 + known[2] if len(known) == len(parts) == 3 else None


def _is_run_error(name: str, attributes: Attributes) -> bool:
    return name == "RunInfo" and attributes.get("outcome") == "Error"


# `total` counts a data-driven test once, however many rows it has, so it is not held against the cases.
_DIALECT = Dialect(
    "trx",
    frozenset(("UnitTestResult",)),
    lambda attributes: attributes.get("outcome", ""),
    _OUTCOMES,
    lambda attributes: attributes.get("testName", ""),
    _seconds,
    totals=("", ""),
    run_errors=_is_run_error,
)
