"""Which operating system account runs the server, and which directories that account can enter.

Postgres refuses to run as root, so root hands the server to an account without rights of its own.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import TypedDict

from pydantic import BaseModel, ConfigDict

from local.postgres.errors import PostgresError

# A machine that prepares an account for us is preferred; every system has the other one.
CANDIDATES = ("aicd", "nobody")


class PopenIdentity(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that switch the child to the account."""

    user: int
    group: int
    extra_groups: list[int]


class Account(BaseModel):
    """The account that owns the cluster's files and runs its processes."""

    model_config = ConfigDict(frozen=True)

    uid: int
    gid: int
    is_ourselves: bool

    def popen_identity(self) -> PopenIdentity:
        """Empty when no switch is needed: Popen(user=) needs privileges even to stay who one is."""
        if self.is_ourselves:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def take_over(self, path: Path) -> None:
        """Make the account the owner of a file or directory that we just created ourselves."""
        if not self.is_ourselves:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_enter(self, directory: Path) -> bool:
        """Whether every directory from the root down to `directory` may be searched by the account.

        Judged by owner and mode; access control lists that deny more are not seen.
        """
        if self.is_ourselves:
            return True
        resolved = directory.resolve()
        return all(self._may_search(step) for step in (resolved, *resolved.parents))

    def _may_search(self, directory: Path) -> bool:
        status = directory.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def choose_account() -> Account:
    """Ourselves, unless we are root. Raises PostgresError when root finds nobody to hand over to."""
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), is_ourselves=True)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid, is_ourselves=False)
    raise PostgresError(
        "Postgres does not run as root, and there is no account to run it as.",
        cause=f"none of the accounts {', '.join(CANDIDATES)} exists on this machine",
        fix="create one (useradd --system aicd), or start as an ordinary user",
    )
