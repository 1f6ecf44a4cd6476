"""One mail's way through a running stack: handed in, followed until nothing more happens, its answers gathered."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from controlplane.errors import OutsideError
from local.stack.identity import MAILBOX, StackIdentity
from local.stack.observation import Observation, Observer, SeenEvent

POLL_SECONDS = 0.1
DELIVERY_SECONDS = 120.0


@dataclass(frozen=True)
class Journey:
    """What became of the mail. `replies` are the answers as .eml files."""

    observation: Observation
    replies: list[Path] = field(default_factory=list)

    def runs_as_json(self) -> list[dict[str, Any]]:
        """The `runs` of `aicd send --json`, in the order they were made."""
        rows = []
        for spec in self.observation.specs:
            for sprint in spec.sprints:
                for run in sprint.runs:
                    summary = run.summary or {}
                    rows.append(
                        {
                            "run_id": run.run_id,
                            "sprint": sprint.label,
                            "result": run.result.value if run.result else None,
                            "verdict": summary.get("verdict"),
                            "pull_request_url": run.pull_request_url,
                            "branch": run.branch,
                            "commit": run.commit,
                        }
                    )
        return rows


def hand_in(identity: StackIdentity, raw: bytes, *, authenticated: bool) -> dict[str, Any]:
    """Give the mail to the Gmail double, which stamps it, keeps it and publishes the push. → `{gmail_id, thread_id}`"""
    answer = httpx.post(
        f"{identity.url('google')}/_double/deliver",
        params={"mailbox": MAILBOX, "authenticated": str(authenticated).lower()},
        content=raw,
        headers={"Content-Type": "message/rfc822"},
        timeout=DELIVERY_SECONDS,
    )
    if answer.is_error:
        raise OutsideError(f"The Gmail double did not take the mail: {answer.text[:300]}", fix="See its log.")
    handed: dict[str, Any] = answer.json()
    return handed


def follow(
    identity: StackIdentity,
    handed: dict[str, Any],
    *,
    timeout_seconds: float,
    replies_folder: Path,
    on_event: Callable[[SeenEvent], None] = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> Journey:
    """Wait until nothing more will happen to the mail by itself; OutsideError when that takes too long."""
    deadline = time.monotonic() + timeout_seconds
    shown: set[str] = set()
    with Observer(identity.db_url) as observer:
        while time.monotonic() < deadline:
            check()
            seen = observer.observe_mail(handed["gmail_id"])
            for event in seen.events if seen else ():
                if event.id not in shown:
                    shown.add(event.id)
                    on_event(event)
            if seen and seen.is_settled():
                return Journey(seen, gather_replies(identity, seen.notices, replies_folder))
            time.sleep(POLL_SECONDS)
    raise OutsideError(
        f"Nothing final became of the mail within {timeout_seconds:.0f} s.",
        fix=f"Look into the logs below {identity.data}, or wait longer with --timeout.",
    )


def gather_replies(identity: StackIdentity, notices: tuple[str, ...], folder: Path) -> list[Path]:
    """Save each answer to the mail as a file, in the order they were sent. Ours name their notice in a header."""
    base = f"{identity.url('google')}/_double/sent"
    sent = httpx.get(base, timeout=DELIVERY_SECONDS).raise_for_status().json()
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for mail in sent:
        named = {header["value"].strip() for header in mail["headers"] if header["name"].lower() == "x-aicd-notice"}
        if named & set(notices):
            raw = httpx.get(f"{base}/{mail['id']}.eml", timeout=DELIVERY_SECONDS).raise_for_status().content
            paths.append(folder / f"{len(paths) + 1}-{mail['id']}.eml")
            paths[-1].write_bytes(raw)
    return paths
