"""The nouns of the repair loop: what it is given, where it stands, and what another run would need to go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from action.build.agents.seam import Agent, Attempt
from action.gitrepo.protected import Refusal
from action.gitrepo.workspace import Taken
from action.journal import Journal
from action.run import Iteration, Run
from controlplane.change import Change
from controlplane.evidence import Evidence
from controlplane.plan import Sprint
from controlplane.spec import Spec
from controlplane.verdict import Verdict


@dataclass(frozen=True)
class Judged:
    verdict: Verdict
    evidence: Evidence


@dataclass(frozen=True)
class BuildLimits:
    """`seconds` is for all attempts and their judgements together, from when the loop begins; `iterations` for all
    attempts, those of earlier runs that were set aside among them."""

    iterations: int
    seconds: float
    changed_lines: int


@dataclass(frozen=True)
class Progress:
    """Where another run would go on. `made` attempts came to their end; without `is_judged` nobody has looked at what
    the last of them left. `feedback` is what the next one is told."""

    head: str
    feedback: str = ""
    made: int = 0
    is_judged: bool = True


@dataclass(frozen=True)
class BuildJob:
    """Everything the loop needs. `judge` measures and judges a change; its int is the iteration, for its folders, its
    float the seconds that are left, which may be none.

    `begin` is what an earlier run of this sprint left. `ask` is asked before each attempt, and `watch` every moment
    while one runs, whether to stop: `cancelled`, `out-of-money`, `interrupted`, or nothing. `keep` is told after each
    attempt where another run would go on. `taking` is held while files of the workspace become a commit.
    `secrets` are those that no commit may hold.
    """

    run: Run
    spec: Spec
    sprint: Sprint
    repository: Path
    workspace: Path
    scratch: Path
    logs: Path
    limits: BuildLimits
    agent: Agent
    judge: Callable[[Change, int, float], Judged]
    journal: Journal
    clock: Callable[[], float] = field(default=time.monotonic)
    begin: Progress | None = None
    dialogue: str = ""
    ask: Callable[[], str] = str
    watch: Callable[[], str] = str
    keep: Callable[[Progress], object] = field(default=lambda _: None)
    taking: threading.Lock = field(default_factory=threading.Lock)
    secrets: Callable[[], Sequence[str]] = tuple


@dataclass
class State:
    """What one attempt leaves for the next. `deadline` is on the job's clock; `error` is a code where the
    loop failed, `is_outside` that the world outside broke it off."""

    taken: Taken
    deadline: float
    feedback: str = ""
    made: int = 0
    is_judged: bool = True
    standing: tuple[str, tuple[str, ...]] | None = None
    refusals: tuple[Refusal, ...] = ()
    iterations: list[Iteration] = field(default_factory=list)
    isolation: str = ""
    last: Attempt | None = None
    error: str = ""
    is_outside: bool = False

    def progress(self) -> Progress:
        return Progress(self.taken.head, self.feedback, self.made, self.is_judged)
