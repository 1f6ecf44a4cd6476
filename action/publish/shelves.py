"""Where artifacts are stored: Supabase's Storage, or a bucket of any S3-compatible service.

Storage forgets a Content-Encoding, so a packed object is there what it is, a gzip file. S3 keeps it, and so a browser
unpacks the object by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from action.settings import Settings
from controlplane.errors import BrokenPromise, CallerError, OutsideError, UsageError
from controlplane.s3 import S3Keys, S3Store, presign
from controlplane.store.outcomes import parse_retry_after
from controlplane.store.patience import patiently

if TYPE_CHECKING:
    import httpx

UPLOAD_SECONDS = 900
TIMEOUT_SECONDS = 60.0
GZIP_FILE = "application/gzip"


class Shelf(Protocol):
    """`store` is what the artifact's row says of the place; None for the control plane's own Storage."""

    @property
    def store(self) -> str | None: ...

    def put(self, run_id: str, artifact_id: str, data: bytes, content_type: str, encoding: str) -> str:
        """Store an object, patiently; its key. The same bytes once more change nothing."""
        ...


class PutArtifact(Protocol):
    """The part of controlplane's RunnerStore that takes bytes."""

    def put_artifact(self, run_id: str, artifact_id: str, content: bytes, content_type: str) -> str: ...


class StorageShelf:
    """The bucket `artifacts` of the control plane."""

    store = None

    def __init__(self, runner: PutArtifact) -> None:
        self._runner = runner

    def put(self, run_id: str, artifact_id: str, data: bytes, content_type: str, encoding: str) -> str:
        return self._runner.put_artifact(run_id, artifact_id, data, GZIP_FILE if encoding else content_type)


class S3Shelf:
    """A bucket by addresses that we sign ourselves, one for each object. Threads may share it."""

    def __init__(self, place: S3Store, keys: S3Keys, client: httpx.Client) -> None:
        self._place = place
        self._keys = keys
        self._client = client

    @property
    def store(self) -> str:
        return self._place.name

    def put(self, run_id: str, artifact_id: str, data: bytes, content_type: str, encoding: str) -> str:
        key = f"{run_id}/{artifact_id}"
        headers = {"Content-Type": content_type} | ({"Content-Encoding": encoding} if encoding else {})
        patiently(lambda: self._send(key, data, headers))
        return key

    def _send(self, key: str, data: bytes, headers: dict[str, str]) -> None:
        import httpx

        try:
            address = presign(self._place, self._keys, "PUT", key, UPLOAD_SECONDS)
            answer = self._client.put(address, content=data, headers=headers)
        except httpx.HTTPError as error:
            raise OutsideError(
                f"The bucket {self._place.name} could not be reached ({type(error).__name__}).",
                "Check the network and `s3-endpoint`, then run the job again.",
                "artifact-store-unreachable",
            ) from error
        if not answer.is_success:
            raise _refused(self._place.name, answer)


@contextmanager
def open_shelf(settings: Settings, runner: PutArtifact | None) -> Iterator[Shelf | None]:
    """The place that the settings name; None where nothing is kept, for want of a control plane and of a bucket.

    Raises UsageError when the bucket's inputs cannot be used.
    """
    import httpx

    inputs = settings.artifacts
    place = inputs.place
    if place is None:
        yield StorageShelf(runner) if runner is not None else None
        return
    if not inputs.s3_secret_access_key.get_secret_value():
        raise UsageError("The input 's3-secret-access-key' is missing beside 'artifact-store'.", "Hand it over.")
    keys = S3Keys(inputs.s3_access_key_id, inputs.s3_secret_access_key, inputs.s3_session_token)
    with httpx.Client(timeout=TIMEOUT_SECONDS) as client:
        yield S3Shelf(place, keys, client)


def _refused(name: str, answer: httpx.Response) -> BrokenPromise | CallerError | OutsideError:
    status = answer.status_code
    details: dict[str, Any] = {"status": status}
    if status in (408, 429) or status >= 500:
        details["retry_after_seconds"] = parse_retry_after(answer.headers.get("retry-after"))
        fix = "Run the job again; see the service's status page."
        return OutsideError(f"The bucket {name} answered {status}.", fix, "artifact-store-unavailable", details)
    if status in (301, 307, 400, 401, 403, 404):
        return CallerError(
            f"The bucket {name} refused an artifact ({status}).",
            "Check that it exists in `s3-region`, and that the keys may s3:PutObject below its prefix.",
            "artifact-store-refused",
            details,
        )
    return BrokenPromise(f"The bucket {name} did not understand us ({status}).", "", "artifact-store-unknown", details)
