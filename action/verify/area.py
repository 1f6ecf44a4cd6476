"""Where a verification works: reports and logs that stay, and a place for cells that goes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from action.verify.account import can_switch_user, is_reachable
from action.verify.options import default_cache_dir
from action.verify.sandbox import Tools, never

INSIDE = Path(__file__).parent / "inside"


@dataclass(frozen=True)
class Area:
    """`reports` and `logs` belong to us and to nobody else; `cells` is removed at the end.

    `inside` is a copy of our programs for the sandbox, since its user may not be able to reach the original.
    """

    reports: Path
    logs: Path
    cells: Path

    @property
    def inside(self) -> Path:
        return self.cells / "inside"

    @property
    def launcher(self) -> Path:
        return self.inside / "launch.py"


@contextmanager
def open_area(work_dir: Path) -> Iterator[Area]:
    """Make the folders; cells are put where the sandbox's user can reach them."""
    work_dir.mkdir(parents=True, exist_ok=True)
    reports, logs = work_dir / "reports", work_dir / "logs"
    for folder in (reports, logs):
        # What an earlier run left here is not evidence of this one.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    reachable = is_reachable(work_dir) or not can_switch_user()
    cells = Path(tempfile.mkdtemp(prefix="aicd-verify-", dir=work_dir if reachable else None))
    try:
        cells.chmod(0o755)
        area = Area(reports, logs, cells)
        shutil.copytree(INSIDE, area.inside, ignore=shutil.ignore_patterns("__pycache__", "__init__.py"))
        for path in (area.inside, *area.inside.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield area
    finally:
        shutil.rmtree(cells, ignore_errors=True)


def tools_of(area: Area, python: Path, path: str, *, reachable: bool, is_over: Callable[[], bool] = never) -> Tools:
    return Tools(python, area.launcher, path, account_locks(), reachable and is_reachable(area.cells), is_over)


def account_locks() -> Path:
    """One folder for the whole machine: user ids are the machine's, and two leases of one id would end each other."""
    return default_cache_dir() / "accounts"
