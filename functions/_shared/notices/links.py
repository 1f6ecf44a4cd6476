"""Signed, expiring links to what a run left in storage."""

from __future__ import annotations

from dataclasses import dataclass

from controlplane.errors import NotFound
from functions._shared.notices.notice import Notice
from functions._shared.ports import NotifyStore

EXPIRES_AFTER_SECONDS = 7 * 24 * 3_600
MOST_LINKS = 20
REPORT = "report.html"


@dataclass(frozen=True)
class Link:
    """`name` is what the file is called when it is saved."""

    name: str
    url: str
    size: int | None = None


def sign_links(notice: Notice, store: NotifyStore) -> tuple[Link, ...]:
    """One link for each artifact that is still there, the report first."""
    found: list[Link] = []
    for artifact in sorted(notice.run.artifacts, key=lambda item: item.name != REPORT)[:MOST_LINKS]:
        try:
            url = store.sign_artifact(artifact.path, EXPIRES_AFTER_SECONDS, artifact.name)
        except NotFound:
            continue
        found.append(Link(artifact.name, url, artifact.size))
    return tuple(found)
