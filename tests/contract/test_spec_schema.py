"""The published JSON Schema, the models and the check say the same, as far as JSON Schema can say it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from controlplane.specfile import check_spec, spec_schema

ROOT = Path(__file__).parents[2]
VALIDATOR = Draft202012Validator(spec_schema())
GOOD: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "examples/specs/basket.yaml").read_bytes())


def agrees(document: Any) -> bool:
    """Whether schema and check give the same answer; the answer itself is theirs."""
    return bool(VALIDATOR.is_valid(document)) == check_spec(json.dumps(document).encode(), "s.json").valid


def test_published_schema_is_the_generated_one() -> None:
    published = json.loads((ROOT / "docs/spec.schema.json").read_text("utf-8"))
    assert published == spec_schema(), "write it anew: aicd spec schema > docs/spec.schema.json"


def test_schema_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(spec_schema())


@pytest.mark.parametrize("name", ["basket.yaml", "minimal.json"])
def test_example_fits_the_schema(name: str) -> None:
    document = YAML(typ="safe", pure=True).load((ROOT / "examples/specs" / name).read_bytes())
    assert list(VALIDATOR.iter_errors(document)) == []
    assert agrees(document)


SPRINT = ("planning", "epics", 0, "sprints", 0)
REPLACEMENTS: list[Any] = [
    None, True, False, 0, 1, -1, 0.5, 1.0, 1.5, 20.0, 80, 101, 1e20, "", " ", "x", "true", "0.8", "none", "High",
    "a/b", "a b", "../x", "x" * 300, [], [1], ["x"], [None], [{}], {}, {"id": "x"}, {"x": 1},
    [{"id": "x", "run": "true"}], [{"id": "x"}], {"performance": 90}, {"performance": "90"},
]  # fmt: skip
PLACES: list[tuple[str | int, ...]] = [
    (), ("meta",), ("meta", "project"), ("meta", "repo"), ("meta", "branch"), ("meta", "requester_email"),
    ("meta", "title"), ("planning",), ("planning", "epics"), ("planning", "epics", 0), SPRINT, (*SPRINT, "id"),
    (*SPRINT, "goals"), (*SPRINT, "user_stories"), (*SPRINT, "user_stories", 0), (*SPRINT, "user_stories", 0, "id"),
    (*SPRINT, "user_stories", 0, "as"), (*SPRINT, "user_stories", 0, "acceptance"), (*SPRINT, "dod"),
    *((*SPRINT, "dod", key) for key in (
        "coverage_min", "diff_coverage_min", "unit_pass", "lighthouse_min", "lighthouse", "security_max", "tests_min",
        "skipped_max", "duration_max_seconds", "integrity", "mutation_min", "custom", "unheard_of")),
    ("runtime",), ("tests",), ("tests", "unit"), ("tests", "commands"), ("policies",), ("policies", "branch"),
    ("policies", "review_required"), ("policies", "approval"), ("files",), ("files", 0), ("files", 0, "path"),
    ("files", 0, "content"), ("unheard_of",),
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_schema_and_check_agree_on_every_value_at(place: tuple[str | int, ...]) -> None:
    disagreements = []
    for value in REPLACEMENTS:
        document = replaced(place, value)
        if not agrees(document):
            disagreements.append(value)
    assert disagreements == []


@pytest.mark.parametrize("place", [place for place in PLACES if place and isinstance(place[-1], str)], ids=str)
def test_schema_and_check_agree_on_what_is_needed(place: tuple[str | int, ...]) -> None:
    document = copy.deepcopy(GOOD)
    holder = walk(document, place[:-1])
    holder.pop(place[-1], None)
    assert agrees(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 200) | st.floats(-1, 120) | st.sampled_from(["x", "a/b", "", "high"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "goals", "x", "dod"]), inner),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(place=st.sampled_from(PLACES), value=JSON)
def test_schema_and_check_agree_on_any_value(place: tuple[str | int, ...], value: Any) -> None:
    assert agrees(replaced(place, value))


def walk(document: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        document = document[step]
    return document


def replaced(place: tuple[str | int, ...], value: Any) -> Any:
    if not place:
        return value
    document = copy.deepcopy(GOOD)
    walk(document, place[:-1])[place[-1]] = value
    return document
