"""xUnit.net's XML, version 2 and later (xunit.net/docs/format-xml-v2)."""

from __future__ import annotations

from action.evidence.attributed_cases import AttributedCasesReader, Attributes, Dialect
from action.evidence.figures import parse_seconds
from action.evidence.limits import Allowance
from controlplane.evidence import Outcome

_OUTCOMES: dict[str, Outcome] = {"pass": "passed", "fail": "failed", "skip": "skipped", "notrun": "skipped"}


def is_xunitnet(root: str, _attributes: Attributes) -> bool:
    return root in ("assemblies", "assembly")


def read_xunitnet(allowance: Allowance) -> AttributedCasesReader:
    return AttributedCasesReader(allowance, _DIALECT)


def _is_run_error(name: str, attributes: Attributes) -> bool:
    """A clean-up or fixture that broke: it stands beside the tests, in `errors`."""
    return name == "error" and "type" in attributes


_DIALECT = Dialect(
    "xunit.net",
    frozenset(("test",)),
    lambda attributes: attributes.get("result", ""),
    _OUTCOMES,
    lambda attributes: attributes.get("name", ""),
    lambda attributes: parse_seconds(attributes.get("time")),
    totals=("assembly", "total"),
    run_errors=_is_run_error,
)
