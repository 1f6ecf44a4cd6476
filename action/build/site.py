"""Where one build takes place: its run and what is to be built, the agent's folder, its clock, and its judge."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from action.build.archive import Left
from action.build.job import Judged
from action.build.remembering import Judge, Remembered
from action.context import Context
from action.gate.judge import judge
from action.gitrepo.protected import find_refusals
from action.measure import hold_refusals, measure_change
from action.plan.dialogue import Dialogue
from action.run import Run
from action.verify.account import can_switch_user
from action.verify.options import default_cache_dir
from controlplane.change import Change
from controlplane.plan import Plan, Sprint
from controlplane.spec import Spec


@dataclass(frozen=True)
class Site:
    """`left` is what an earlier run of the sprint left; `area` the folder of the agent's clone and its belongings;
    `ends_at` on the monotonic clock; `taking` is held while files of the workspace become a commit."""

    context: Context
    run: Run
    spec: Spec
    sprint: Sprint
    left: Left | None
    dialogue: Dialogue
    cache_dir: Path
    area: Path
    ends_at: float
    taking: threading.Lock = field(default_factory=threading.Lock)

    @property
    def repository(self) -> Path:
        return self.context.folder.repository

    @property
    def workspace(self) -> Path:
        return self.area / "repository"

    @cached_property
    def judge(self) -> Judge:
        """The loop's, and that of the agent's own checks."""
        return Remembered(self._judge)

    def _judge(self, change: Change, name: str, seconds: float, is_over: Callable[[], bool]) -> Judged:
        context, dod = self.context, self.sprint.dod
        limit, secrets = context.settings.target.max_changed_lines, context.kept_out()
        refusals = find_refusals(change.repository, change.base, change.head, limit, secrets)
        evidence = measure_change(
            context,
            change,
            dod,
            work_dir=context.folder.path / "iterations" / name,
            seconds=seconds,
            policy=self.run,
            is_over=is_over,
        )
        return Judged(hold_refusals(judge(dod, evidence, Plan(sprints=(self.sprint,))), refusals), evidence)


@contextmanager
def open_site(context: Context) -> Iterator[Site]:
    """The folder ends with the block; nothing of an agent's outlives its run."""
    started, folder = context.run(), context.folder
    spec = folder.require("spec", Spec, "start")
    sprint = folder.require("sprint", Sprint, "plan")
    cache_dir = context.settings.cache_directory or default_cache_dir()
    area = _make_area(context, started, cache_dir)
    try:
        yield Site(
            context=context,
            run=started,
            spec=spec,
            sprint=sprint,
            left=folder.load("resume", Left),
            dialogue=folder.load("dialogue", Dialogue) or Dialogue(),
            cache_dir=cache_dir,
            area=area,
            ends_at=time.monotonic() + context.settings.agent.timeout_minutes * 60,
        )
    finally:
        shutil.rmtree(area, ignore_errors=True)


def _make_area(context: Context, started: Run, cache_dir: Path) -> Path:
    """A new folder, where a user of its own can come to."""
    area = context.folder.path / "agent"
    context.folder.path.chmod(0o711)
    if can_switch_user() and not _leads_open(context.folder.path):
        area = cache_dir / "agents" / started.run_id
        if not _leads_open(area.parent):
            area = default_cache_dir() / "agents" / started.run_id
    shutil.rmtree(area, ignore_errors=True)
    area.mkdir(parents=True)
    area.chmod(0o755)
    return area


def _leads_open(folder: Path) -> bool:
    """Whether another user can pass through the folder and everything above it that exists."""
    existing = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    return all(one.stat().st_mode & 0o001 for one in (existing, *existing.resolve().parents)) and os.access(
        existing, os.X_OK
    )
