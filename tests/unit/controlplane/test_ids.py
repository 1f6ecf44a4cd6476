"""Ids: same input, same id; other input, other id; never a change between versions."""

from __future__ import annotations

import json
import uuid

from hypothesis import given
from hypothesis import strategies as st

from controlplane import ids
from controlplane.specfile import check_spec


def test_ids_stay_what_they_are_for_ever() -> None:
    """A redelivery after an upgrade must still meet its own rows."""
    assert ids.message_id("m", "g") == "c0332266-1858-57fd-a65d-1ae148151040"
    assert ids.correlation_id("m", "g") == "d0029118-f127-50cc-8d18-346704c60a18"
    assert ids.spec_id("o", b"x") == "6576b9f1-9824-58c3-93e0-645acf8f5eec"
    assert ids.artifact_id("r", "n") == "b23c7d43-f75d-5413-a193-b724b8d490ec"


def test_different_kinds_of_the_same_parts_differ() -> None:
    assert len({ids.message_id("a", "b"), ids.correlation_id("a", "b"), ids.artifact_id("a", "b")}) == 3


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_ids_are_equal_exactly_when_their_parts_are(first: tuple[str, str], second: tuple[str, str]) -> None:
    """Also where the parts joined would spell the same text."""
    assert (ids.message_id(*first) == ids.message_id(*second)) == (first == second)


def test_artifact_with_other_content_may_have_another_id() -> None:
    assert ids.artifact_id("r", "report.html", "a" * 64) != ids.artifact_id("r", "report.html", "b" * 64)


def test_ids_are_version_five_uuids() -> None:
    assert uuid.UUID(ids.spec_id("o", b"content")).version == 5


YAML = "meta: {project: g, repo: a/b}\nplanning: {epics: [{sprints: [{id: S1, dod: {unit_pass: true}}]}]}\n"
SPRINTS = [{"dod": {"unit_pass": True}, "id": "S1"}]
JSON = json.dumps({"planning": {"epics": [{"sprints": SPRINTS}]}, "meta": {"repo": "a/b", "project": "g"}})
MARKDOWN = (
    "---\nmeta: {project: g, repo: a/b}\ndod: {unit_pass: true}\n---\n# Sprint S1\n\n### US1: A\n\n- [ ] it holds\n"
)
LETTER = "repository: a/b\n\nPlease greet people.\nWith kindness.\n"


def key_of(text: str) -> str:
    spec = check_spec(text.encode()).spec
    assert spec is not None
    return ids.content_key(spec)


def test_content_key_is_of_what_is_said_and_not_of_how_it_is_spelt() -> None:
    for text in (YAML, MARKDOWN, LETTER):
        assert key_of(text) == key_of(text.replace("\n", "\r\n")), text
    assert key_of(YAML) == key_of(JSON) == key_of(YAML + "# a comment\n")
    others = {
        key_of(YAML.replace("unit_pass: true", "unit_pass: false")),
        key_of(YAML.replace("a/b", "a/c")),
        key_of(YAML),
    }
    assert len(others) == 3
