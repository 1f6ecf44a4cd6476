"""One is one, and everything else is many."""

from __future__ import annotations

import pytest

from controlplane.counting import counted


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 stories"), (1, "1 story"), (2, "2 stories")]
)  # fmt: skip
def test_number_agrees_with_its_noun(count: int, told: str) -> None:
    assert counted(count, "story", "stories") == told
    assert counted(count, "test") == f"{count} test{'' if count == 1 else 's'}"
