"""A stack's state file: private, atomic, and never believed when its process is gone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from controlplane.errors import CallerError, OutsideError
from local.stack.identity import StackIdentity, load_identity, save_identity
from local.stack.ports import PREFERRED, choose_ports, is_free


def identity(pid: int) -> StackIdentity:
    return StackIdentity(
        id="stack-1",
        pid=pid,
        ports={"api": 54321, "google": 1, "github": 2, **dict.fromkeys(PREFERRED, 3)},
        data="/nowhere",
        db_url="postgresql://postgres:x@127.0.0.1:1/postgres",
        signing_jwk={"d": "the-private-part"},
        publishable_key="sb_publishable_x",
        secret_key="sb_secret_x",
        anon_jwt="a",
        service_jwt="s",
        github_token="ghs_x",
        outbox_secret="o",
        github_webhook_secret="w",
    )


def test_identity_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "state" / "stack.json"
    save_identity(identity(os.getpid()), file)
    assert load_identity(file) == identity(os.getpid())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_identity_in_a_log_line_shows_no_secret() -> None:
    shown = repr(identity(1))
    assert not [secret for secret in ("the-private-part", "sb_secret_x", "ghs_x") if secret in shown]


def test_state_file_of_a_dead_stack_is_refused_with_the_fix(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    save_identity(identity(gone.pid), tmp_path / "stack.json")
    with pytest.raises(OutsideError, match=r"has ended.*aicd up"):
        load_identity(tmp_path / "stack.json")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": 1}'])
def test_damaged_state_file_is_refused_without_a_trace(tmp_path: Path, content: str) -> None:
    (tmp_path / "stack.json").write_text(content)
    with pytest.raises(CallerError, match="cannot be read"):
        load_identity(tmp_path / "stack.json")


def test_ports_of_parallel_stacks_are_all_different_and_free() -> None:
    ports = choose_ports(fixed=False)
    assert len(set(ports.values())) == len(PREFERRED)
    assert all(is_free(port) for port in ports.values())
