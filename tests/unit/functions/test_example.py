"""The example that every answer shows."""

from __future__ import annotations

from controlplane.specfile import check_spec
from functions._shared.notices.example import EXAMPLE


def test_example_in_our_answers_is_accepted_as_it_stands() -> None:
    check = check_spec(EXAMPLE.encode(), "spec.yaml")
    assert check.problems == ()
    assert check.spec is not None
    assert not check.spec.needs_planning
