"""Mail in: one process of gmail-push, from Pub/Sub's call to the committed specification.

Against the sum of the requests that this takes, sent bare in the same run over connections that are kept: Gmail's
history and the raw message, the mailbox, the object, the rows. Mails come one by one, and the two sides take turns.
The goal is at most 2.
"""

from __future__ import annotations

import base64
import hashlib
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.door import MAILBOX, REPO, SENDER, SPEC, Door, stop
from bench.measure import Measure, timed
from controlplane.specfile import check_spec
from local.stack.places import REPOSITORY_ROOT

MAILS = 60
WARM_UP = 5
SOURCE = REPOSITORY_ROOT / "functions" / "gmail_push" / "main.py"


@dataclass(frozen=True)
class Throughput(Measure):
    """As Measure, a mail at a time; says how many mails one process takes in a second."""

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.ours_seconds * 1e3:.1f} ms a mail ({1 / self.ours_seconds:.0f} a second) = "
            f"{self.ratio:.2f} x {self.baseline} ({self.baseline_seconds * 1e3:.1f} ms; medians of {self.rounds})"
        )


def run() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="aicd-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Door(folder) as door:
            yield measure_throughput(door)


def measure_throughput(door: Door) -> Throughput:
    """Every mail must have become a specification, or the figure is none."""
    command = ["-m", "functions_framework", "--source", str(SOURCE), "--target", "main", "--host", "127.0.0.1"]
    port = door.ports["gmail-push"]
    function = door.start_part("gmail-push", [*command, "--port", str(port)], door.environment)
    try:
        function.wait_until_listening()
        ours, bare = [], []
        with httpx.Client(timeout=60, trust_env=False) as client:
            raw = Bare(door, client)
            for number in range(1, MAILS + WARM_UP + 1):
                door.deliver(number)
                body, headers = door.push()
                before = time.perf_counter()
                answer = client.post(f"http://127.0.0.1:{port}/", content=body, headers=headers)
                ours.append(time.perf_counter() - before)
                if answer.status_code != 204:
                    raise RuntimeError(f"gmail-push answered {answer.status_code}: {answer.text[:300]}")
                bare.append(timed(lambda number=number: raw.take_in(number)))
    finally:
        stop(function)
    made = door.count("public.specs")
    if made != 2 * (MAILS + WARM_UP):
        raise RuntimeError(f"{MAILS + WARM_UP} mails on each side made {made} specifications together.")
    return Throughput(
        "push to committed specification",
        statistics.median(ours[WARM_UP:]),
        "its raw requests",
        statistics.median(bare[WARM_UP:]),
        MAILS,
    )


class Bare:
    """The same requests with bodies of the same size, and nothing in between."""

    def __init__(self, door: Door, client: httpx.Client) -> None:
        self._door, self._client = door, client
        grant = {name: door.environment[f"GMAIL_{name.upper()}"] for name in ("client_id", "client_secret")}
        grant |= {"refresh_token": door.environment["GMAIL_REFRESH_TOKEN"], "grant_type": "refresh_token"}
        token = client.post(door.environment["GOOGLE_TOKEN_URI"], data=grant).raise_for_status().json()
        self._google = {"Authorization": f"Bearer {token['access_token']}"}

    def take_in(self, number: int) -> None:
        opened = self._rpc("open_mailbox_v1", p_email=MAILBOX)
        gmail = f"{self._door.url('google')}/gmail/v1/users/me"
        # The mail was taken in already, and the cursor stands behind it; the page is read from just before.
        since = {"startHistoryId": str(int(opened["history_id"]) - 1), "historyTypes": "messageAdded"}
        page = self._client.get(f"{gmail}/history", params=since, headers=self._google).raise_for_status().json()
        gmail_id = page["history"][-1]["messagesAdded"][-1]["message"]["id"]
        shown = self._client.get(f"{gmail}/messages/{gmail_id}", params={"format": "raw"}, headers=self._google)
        raw = base64.urlsafe_b64decode(shown.raise_for_status().json()["raw"] + "==")
        content = SPEC.format(number=f"{number} {uuid.uuid4()}").encode()
        spec_id = str(uuid.uuid4())
        self._client.post(
            f"{self._door.url('api')}/storage/v1/object/specs/{spec_id}/source",
            files={"file": ("source", content, "application/yaml")},
            headers=self._door.api_headers(),
        ).raise_for_status()
        answer = self._rpc(
            "ingest_message_v1",
            p_message=self._message(opened, raw),
            p_specs=[self._spec(spec_id, content)],
        )
        if answer["outcome"] != "accepted":
            raise RuntimeError(f"the bare mail was not taken in: {answer}")

    def _message(self, opened: dict[str, Any], raw: bytes) -> dict[str, Any]:
        unique = str(uuid.uuid4())
        return {
            "id": unique, "mailbox_id": opened["mailbox_id"], "gmail_id": unique, "gmail_thread_id": unique,
            "rfc_message_id": f"<{unique}@example.org>", "references": "", "sender": SENDER, "subject": "Bare",
            "state": "ACCEPTED", "reason": "ok", "problems": [], "size": len(raw), "correlation_id": unique,
            "sha256": hashlib.sha256(raw).hexdigest(), "history_id": opened["history_id"],
        }  # fmt: skip

    def _spec(self, spec_id: str, content: bytes) -> dict[str, Any]:
        if not hasattr(self, "_plan"):
            checked = check_spec(content, "spec.yaml").spec
            assert checked is not None
            assert checked.plan is not None
            self._plan = checked.plan.model_dump(mode="json")
        return {
            "id": spec_id, "name": "spec.yaml", "repo": REPO, "branch": None, "title": "Bare", "format": "yaml",
            "storage_path": f"{spec_id}/source", "sha": hashlib.sha256(content).hexdigest(), "size": len(content),
            "plan": self._plan, "needs_approval": False,
        }  # fmt: skip

    def _rpc(self, verb: str, **arguments: Any) -> Any:
        url = f"{self._door.url('api')}/rest/v1/rpc/{verb}"
        return self._client.post(url, json=arguments, headers=self._door.api_headers()).raise_for_status().json()
