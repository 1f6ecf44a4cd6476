"""What is kept of a job's log."""

from __future__ import annotations

import json
from pathlib import Path

from local.stack.runner import copy_log


def test_kept_log_has_everything_but_the_secrets_that_were_masked(tmp_path: Path) -> None:
    lines = [
        json.dumps({"msg": "Fetch acme/calc"}),
        json.dumps({"arg": "canary-0123456789", "command": "add-mask", "raw": "::add-mask::canary-0123456789\n"}),
        "::add-mask::canary-0123456789",
        json.dumps({"msg": "1 of 1 tests passed"}),
    ]
    (tmp_path / "job.log").write_text("\n".join(lines) + "\n")
    copy_log(tmp_path / "job.log", tmp_path / "kept.log")
    assert (tmp_path / "kept.log").read_text() == f"{lines[0]}\n{lines[3]}\n"
