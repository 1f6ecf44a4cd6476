"""One running stack for all tests of the whole line, started as its user starts it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


@dataclass(frozen=True)
class Aicd:
    """The command, with a state folder of its own."""

    home: Path

    def environ(self) -> dict[str, str]:
        return {**os.environ, "AICD_STATE_HOME": str(self.home), "PYTHONPATH": str(ROOT)}

    def run(self, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "local", *arguments],
            env=self.environ(),
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def json(self, *arguments: str, timeout: float = 240) -> dict[str, Any]:
        """What a verb printed with --json; the whole of stdout has to be one document."""
        done = self.run(*arguments, "--json", timeout=timeout)
        assert done.stdout, f"nothing on stdout, exit code {done.returncode}: {done.stderr[-2000:]}"
        document: dict[str, Any] = json.loads(done.stdout)
        return document


@pytest.fixture(scope="session")
def state_folder() -> Iterator[Path]:
    """Not below pytest's own folder, which no other user may enter: the database and the tests run as another."""
    folder = Path(tempfile.mkdtemp(prefix="aicd-test-", dir="/var/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def stack(state_folder: Path) -> Iterator[Aicd]:
    """`aicd up`, kept running for the session, ended by SIGTERM."""
    aicd = Aicd(state_folder / "home")
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "up", "--ephemeral"],
        env=aicd.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stdout is not None
    first = process.stderr.readline()
    assert "The stack is up" in first, first + process.stderr.read()
    yield aicd
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=15) == 0
    process.stdout.close()
    process.stderr.close()


def compose(
    *,
    sender: str = "Grace Requester <grace@requests.example>",
    message_id: str,
    subject: str = "Please build this",
    text: str = "Hello, please see the attachment.\n",
    attachment: str | None = None,
    name: str = "spec.yaml",
) -> bytes:
    """A mail as a common client writes it."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = "aicd@inbox.example"
    mail["Subject"] = subject
    mail["Date"] = "Sat, 21 Nov 2026 10:00:00 +0000"
    mail["Message-ID"] = f"<{message_id}@requests.example>"
    mail.set_content(text)
    if attachment is not None:
        mail.add_attachment(attachment.encode(), maintype="application", subtype="yaml", filename=name)
    return mail.as_bytes()
