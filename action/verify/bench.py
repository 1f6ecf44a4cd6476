"""The bench: what every stage after the plain test runs works with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from action.verify.app import Serving, running_app
from action.verify.area import Area
from action.verify.checkout import Snapshot
from action.verify.environment import Environment
from action.verify.keeping import Keeper
from action.verify.projectfile import Told
from action.verify.sandbox import Cell, Tools, open_cell
from controlplane.dod import DefinitionOfDone

NO_NETWORK = "the tests run without a network, and each in one of its own, so none could reach the app"


@dataclass(frozen=True)
class Bench:
    """`network` is whether the repository's programs may see one; `deadline` is on the monotonic clock."""

    base: Snapshot
    head: Snapshot
    dod: DefinitionOfDone
    told: Told
    area: Area
    keeper: Keeper
    environment: Environment
    tools: Tools
    cache_dir: Path
    network: bool
    deadline: float
    say: Callable[[str], None]

    def left(self) -> float:
        return self.deadline - time.monotonic()

    @contextmanager
    def cell(self, name: str, *, roomy: bool = False) -> Iterator[Cell]:
        with open_cell(self.area.cells / name, self.tools, network=self.network, roomy=roomy) as cell:
            yield cell

    @contextmanager
    def app(self, name: str) -> Iterator[Serving | None]:
        """The head's product, running as long as the block lasts; None where nobody told how it is started."""
        if self.told.app is None:
            yield None
            return
        if not self.network:
            yield Serving(self.told.app.url, NO_NETWORK)
            return
        log = self.area.logs / f"app-{name}.log"
        with (
            self.cell(f"app-{name}", roomy=True) as cell,
            running_app(self.told.app, self.head, cell, log, self.left()) as serving,
        ):
            yield serving
