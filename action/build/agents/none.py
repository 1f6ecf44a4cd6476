"""No agent: what the branch already holds is measured and judged."""

from __future__ import annotations

from action.build.agents.seam import Attempt, Task


class NoneAgent:
    name = "none"
    repeats = False

    def work(self, task: Task) -> Attempt:
        return Attempt(ending="done", reason=f"Nobody worked in {task.repository.name}.")
