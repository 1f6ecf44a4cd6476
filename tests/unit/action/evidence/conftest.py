"""One report at a time, written to a file and read as any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from action.evidence import read_reports
from controlplane.evidence import EvidenceFile

Read = Callable[..., EvidenceFile]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """`read(content, name)` → what the file says."""

    def read_one(content: str | bytes, name: str = "report") -> EvidenceFile:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_reports([path]).files[0]

    return read_one
