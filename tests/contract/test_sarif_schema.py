"""The SARIF that we write is what the published schema of SARIF 2.1.0 says, whatever stands in the evidence."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from action.publish.annotations import Annotation, annotate
from action.publish.sarif import write_sarif
from controlplane.evidence import Evidence, EvidenceFile, TestCase
from controlplane.verdict import Criterion, Verdict

SCHEMA = json.loads((Path(__file__).parent / "sarif" / "sarif-2.1.0.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
NASTY = "{0} [a](http://e) \\ \u202e \x1b[31m <script>\n::error::gone"
EVIDENCE = Evidence(
    files=(
        EvidenceFile(
            path="j.xml", kind="junit", cases=(TestCase(node_id="t/test_a.py::x y", outcome="failed", message=NASTY),)
        ),
        EvidenceFile(path="b.json", kind="lint", tool="bandit", findings=("a b/ü.py:3: high",), severities={"high": 1}),
    )
)


def verdict(status: str) -> Verdict:
    told = {"id": "unit_pass", "required": True, "actual": status == "passed", "status": status, "reason": NASTY}
    return Verdict(criteria=(Criterion.model_validate(told),))


def problems(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(json.loads(text))]


@pytest.mark.parametrize("status", ["passed", "failed", "not_measured"])
@pytest.mark.parametrize("version", ["", "1.2.3"])
def test_every_verdict_is_valid_sarif(status: str, version: str) -> None:
    assert problems(write_sarif(verdict(status), annotate(EVIDENCE, verdict(status)), version, "0" * 40)) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.builds(Annotation, line=st.integers(1, 10**7), end_line=st.just(10**7)), max_size=3))
def test_any_annotation_is_valid_sarif(annotations: list[Annotation]) -> None:
    assert problems(write_sarif(verdict("failed"), annotations, "")) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.pop("version"),
        lambda document: document["runs"][0].pop("tool"),
        lambda document: document["runs"][0]["results"][0].pop("message"),
        lambda document: document["runs"][0]["results"][0].update(level="fatal"),
        lambda document: document["runs"][0]["results"][0].update(stranger=1),
        lambda document: document["runs"][0]["results"][0].update(ruleIndex=-2),
    ],
    ids=["version", "tool", "message", "level", "stranger", "index"],
)
def test_schema_refuses_what_is_no_sarif(spoil: Callable[[Any], Any]) -> None:
    document = copy.deepcopy(json.loads(write_sarif(verdict("failed"), (), "")))
    spoil(document)
    assert not VALIDATOR.is_valid(document)
