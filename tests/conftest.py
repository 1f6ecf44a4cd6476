"""What every test may rely on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from controlplane import logs

# Colours and column widths of whoever runs the suite must not leak into what is compared.
os.environ.setdefault("NO_COLOR", "1")
os.environ.setdefault("COLUMNS", "120")


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> Iterator[None]:
    """A process hides for ever what it was once told to hide; a test's secrets are its own."""
    before = set(logs._hidden)
    yield
    logs._hidden.clear()
    logs._hidden.update(before)
