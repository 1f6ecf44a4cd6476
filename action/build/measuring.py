"""Measuring the work as it lies in the agent's folder, while the agent works: what its tool `check_dod` does."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from action.build.remembering import Judge
from action.build.task import write_feedback
from action.gitrepo.protected import changed_files, find_refusals
from action.gitrepo.workspace import Taken, take_work
from action.run import Run
from action.toolserver.rundesk import Checked
from action.verify.sandbox import never
from controlplane.change import Change
from controlplane.errors import CallerError


@dataclass
class WorkCheck:
    """A `DodCheck`. `judge` takes the change, a name for its folder, and seconds; `left` tells how many the attempt
    has; `taking` is the loop's own lock."""

    run: Run
    repository: Path
    workspace: Path
    most_changed_lines: int
    judge: Judge
    taking: threading.Lock = field(default_factory=threading.Lock)
    left: Callable[[], float] = field(default=lambda: math.inf)
    secrets: Callable[[], Sequence[str]] = tuple
    _number: int = 0

    def __call__(self, seconds: float, is_over: Callable[[], bool] = never) -> Checked:
        """Raises CallerError where there is nothing to measure yet, or it cannot become a commit."""
        base = self.run.base
        with self.taking:
            self._number += 1
            number = self._number
            begin = Taken(head=base, seen=base)
            message = "Measured on the way"
            head = take_work(self.repository, self.workspace, begin, message, self.run.trailers()).head
        if head == base:
            raise CallerError("Nothing has been changed yet.", "Write something first.", "no-change")
        files = changed_files(self.repository, base, head)
        change = Change(repository=self.repository, base=base, head=head, branch=self.run.branch, files=files)
        judged = self.judge(change, f"check-{number}", min(seconds, max(self.left(), 1.0)), is_over)
        refusals = find_refusals(self.repository, base, head, self.most_changed_lines, self.secrets())
        told = write_feedback(judged.verdict, judged.evidence, refusals, number) if judged.verdict.failing() else ""
        return Checked(verdict=judged.verdict, feedback=told)
