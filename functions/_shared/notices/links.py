"""Signed, expiring links to what a run left in storage."""

from __future__ import annotations

from dataclasses import dataclass

from controlplane.errors import NotFound
from functions._shared.bucket import Bucket
from functions._shared.notices.notice import ArtifactLine, Notice
from functions._shared.ports import NotifyStore

EXPIRES_AFTER_SECONDS = 7 * 24 * 3_600
MOST_LINKS = 20
REPORT = "report.html"
# A run may leave a thousand files; what people ask for first is linked first. Others come after these.
FIRST = ("report", "summary", "verdict", "bundle", "patch", "sarif", "junit", "coverage")


@dataclass(frozen=True)
class Link:
    """`name` is what the file is called when it is saved."""

    name: str
    url: str
    size: int | None = None


def sign_links(notice: Notice, store: NotifyStore, bucket: Bucket | None = None) -> tuple[Link, ...]:
    """One link for each artifact that is still there, the report first. A bucket that is not ours gets none."""
    found: list[Link] = []
    for artifact in sorted(notice.run.artifacts, key=_rank)[:MOST_LINKS]:
        if artifact.store:
            if bucket is not None and bucket.holds(artifact.store):
                url = bucket.sign(artifact.path, EXPIRES_AFTER_SECONDS, artifact.name)
                found.append(Link(artifact.name, url, artifact.size))
            continue
        # Storage hands a packed object over as it is.
        name = f"{artifact.name}.gz" if artifact.encoding == "gzip" else artifact.name
        try:
            url = store.sign_artifact(artifact.path, EXPIRES_AFTER_SECONDS, name)
        except NotFound:
            continue
        found.append(Link(name, url, artifact.size))
    return tuple(found)


def _rank(artifact: ArtifactLine) -> tuple[bool, int]:
    rank = FIRST.index(artifact.kind) if artifact.kind in FIRST else len(FIRST)
    return artifact.name != REPORT, rank
