"""Files that run in the place of source: compiled modules and libraries, which nobody can review."""

from __future__ import annotations

import re
from collections.abc import Iterator

from action.verify.checkout import Snapshot
from controlplane.evidence import IntegrityFinding

COMPILED = re.compile(r"(\.py[co]|\.so|\.pyd|\.dylib|\.pth|\.egg-link)$|(^|/)__pycache__/")


def find_compiled(base: Snapshot, head: Snapshot) -> Iterator[IntegrityFinding]:
    """New or altered ones. A .pyc may be marked as not to be compared with its source (PEP 552), and then runs."""
    for path in sorted(head.contents):
        if COMPILED.search(path) and head.contents[path] != base.contents.get(path):
            yield IntegrityFinding(
                kind="module-shadowed",
                fails=True,
                file=path,
                reason="it is run in the place of source, and cannot be reviewed",
            )
