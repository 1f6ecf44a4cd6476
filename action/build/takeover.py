"""Taking over what an earlier run of this sprint left: its work into our repository, what was said into the run folder.

What cannot be read, or does not fit any more, is left: the work begins anew then, and the log says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from action.build.archive import Left, restore_work, unpack_archive
from action.context import Context
from controlplane.errors import AicdError

TRANSCRIPT = "session.jsonl"


def take_over(context: Context, session: Mapping[str, Any], base: str) -> Left | None:
    """`session` is what the earlier run handed to the control plane, `{path, agent, session}`; `base` where this run
    would begin. Writes `resume.json`."""
    path = str(session.get("path") or "")
    if not path or context.store is None:
        return None
    try:
        archive = unpack_archive(context.store.get_session(path))
    except AicdError as error:
        context.console.warning(f"What an earlier run left cannot be read, so the work begins anew: {error}")
        return None
    if archive is None or not restore_work(context.folder.repository, archive, base):
        context.console.warning("What an earlier run left does not fit this repository any more; the work begins anew.")
        return None
    context.folder.save("resume", archive.left)
    if archive.transcript:
        (context.folder.path / TRANSCRIPT).write_bytes(archive.transcript)
    return archive.left
