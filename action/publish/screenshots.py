"""Pictures of failed end-to-end tests for the page: PNG files that the browser's tests left, inside the page itself."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from action.publish.artifacts import Artifact

PNG = b"\x89PNG\r\n\x1a\n"
MAX_PICTURES = 12
MAX_PICTURE_BYTES = 2**20
MAX_TOTAL_BYTES = 6 * 2**20  # a page of more is no pleasure to open


@dataclass(frozen=True)
class Screenshot:
    """`caption` is the test's folder as Playwright names it; `source` a data address."""

    caption: str
    source: str


def find_screenshots(artifacts: Iterable[Artifact]) -> tuple[Screenshot, ...]:
    """The first MAX_PICTURES by name that are really PNG and small enough; by its first bytes, not by its name."""
    found: list[Screenshot] = []
    room = MAX_TOTAL_BYTES
    for one in sorted(artifacts, key=lambda artifact: artifact.name):
        if len(found) == MAX_PICTURES or not one.name.endswith(".png") or one.size > min(MAX_PICTURE_BYTES, room):
            continue
        data = one.read()
        if data.startswith(PNG):
            room -= len(data)
            path = PurePosixPath(one.name)
            source = "data:image/png;base64," + base64.b64encode(data).decode()
            found.append(Screenshot(f"{path.parent.name} · {path.stem}", source))
    return tuple(found)
