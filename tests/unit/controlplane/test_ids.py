"""Ids: same input, same id; other input, other id; never a change between versions."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from controlplane import ids


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
