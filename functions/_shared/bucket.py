"""Links to artifacts that a runner kept in an S3-compatible bucket.

The functions hold a key of their own, which may read below the prefix and nothing else; so a link is as young as the
mail it stands in, none is kept in the database, and no runner's key lives on in one. Only the bucket of the settings is
signed for: a row is what a runner wrote, and must not choose what our key opens.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from controlplane.errors import UsageError
from controlplane.logs import hide_secret
from controlplane.s3 import S3Keys, S3Store, parse_store, presign
from controlplane.secret import Hidden
from functions._shared.settings import Environment

# The one page that is ours and runs no script; whatever else a run left is saved, never shown as a page of the bucket.
SHOWN = "report.html"


@dataclass(frozen=True)
class Bucket:
    """Where links are signed for, and by whom."""

    place: S3Store
    keys: S3Keys

    def holds(self, store: str) -> bool:
        """Whether this is the place that an artifact's row names."""
        return store == self.place.name

    def sign(self, path: str, seconds: int, name: str) -> str:
        """A link that ends after so many seconds, seven days at most. A packed object is unpacked by the browser."""
        how = "inline" if name == SHOWN else "attachment"
        disposition = f"{how}; filename*=UTF-8''{quote(name.rsplit('/', 1)[-1], safe='')}"
        return presign(self.place, self.keys, "GET", path, seconds, {"response-content-disposition": disposition})


def read_bucket(environment: Environment) -> Bucket | None:
    """From AICD_ARTIFACT_STORE and AICD_S3_*; None where the first is not set. What is wrong is told by `check`."""
    name = environment.optional("AICD_ARTIFACT_STORE")
    if not name:
        return None
    try:
        place = parse_store(name, environment.optional("AICD_S3_ENDPOINT"), environment.optional("AICD_S3_REGION"))
    except UsageError as error:
        environment.refuse(f"AICD_ARTIFACT_STORE, AICD_S3_ENDPOINT, AICD_S3_REGION: {error.message.rstrip('.')}")
        return None
    session = environment.optional("AICD_S3_SESSION_TOKEN")
    hide_secret(session)
    keys = S3Keys(
        environment.text("AICD_S3_ACCESS_KEY_ID"), environment.secret("AICD_S3_SECRET_ACCESS_KEY"), Hidden(session)
    )
    return Bucket(place, keys)
