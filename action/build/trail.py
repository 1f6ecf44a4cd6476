"""The trail of a run: what another runner needs to go on is with the control plane before this one can be lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from action.build.agents.claude.session import Session
from action.build.agents.seam import Agent
from action.build.archive import MOST_ASKED, MOST_FEEDBACK, Left, pack_archive
from action.build.job import Progress
from action.context import Context
from action.gitrepo.leaks import leaks_on_the_way
from action.run import Run
from controlplane.errors import AicdError

Named = dict[str, Any]


@dataclass
class Trail:
    """`asked` tells the questions so far that waited for no answer. What cannot be kept is told in the log; what was
    kept before stands then.
    """

    context: Context
    run: Run
    agent: Agent
    asked: Callable[[], tuple[str, ...]] = tuple
    _kept: tuple[Left, bytes] | None = None
    _named: Named = field(default_factory=dict)

    def keep(self, progress: Progress, *, is_spent: bool = False) -> bool:
        """Where another run would go on; whether the control plane knows it now. `is_spent`: only as long as there is
        no verdict on it, for there is nothing left to try."""
        named = self.store(progress)
        return bool(named) and self._name({**named, "is_spent": True} if is_spent else named)

    def forget(self) -> None:
        """The sprint begins anew."""
        if self.context.store is not None and self.run.controlled:
            self._name(None)

    def store(self, progress: Progress) -> Named:
        """The archive in its bucket, and what it is named by where the next run starts; empty where it is not there.
        The same again is stored once."""
        store = self.context.store
        if store is None or not self.run.controlled:
            return {}
        said = (self._session.transcript if self._session else None) or b""
        try:
            left = self._left(self._without_secrets(progress))
            if self._kept == (left, said):
                return self._named
            archive = pack_archive(self.context.folder.repository, left, self._clean(said))
            path = store.put_session(self.run.sprint_id, self.run.run_id, archive, self._named.get("path", ""))
        except AicdError as error:
            self.context.console.warning(f"What is done so far could not be kept for another run: {error}")
            return {}
        self._kept = left, said
        self._named = {"path": path, "agent": left.agent, "session": left.session}
        return self._named

    def _without_secrets(self, progress: Progress) -> Progress:
        """Every commit of an archive is read by whoever may read the bucket, so a history that holds a secret stays
        here, and another run begins with what was said alone. The loop keeps none; nothing here relies on it."""
        base, secrets = self.run.base, self.context.kept_out()
        if progress.head == base or not leaks_on_the_way(self.context.folder.repository, base, progress.head, secrets):
            return progress
        self.context.console.warning("The work so far holds a secret of this run, so it is not kept for another one.")
        return replace(progress, head=base)

    @property
    def _session(self) -> Session | None:
        """What was said, where the agent has such a thing. A lost one is replaced, so it is asked for each time."""
        session: Session | None = getattr(self.agent, "session", None)
        return session

    def _left(self, progress: Progress) -> Left:
        session = self._session
        return Left(
            agent=self.agent.name,
            session=session.id if session else "",
            folder=session.folder if session else "",
            told_usd=session.told_usd if session else 0.0,
            base=self.run.base,
            head=progress.head,
            feedback=self.context.console.redact(progress.feedback)[:MOST_FEEDBACK],
            made=progress.made,
            is_judged=progress.is_judged,
            asked=self.asked()[:MOST_ASKED],
            run_id=self.run.run_id,
        )

    def _name(self, named: Named | None) -> bool:
        assert self.context.store is not None
        try:
            self.context.store.keep_session(self.run.run_id, named)
        except AicdError as error:
            self.context.console.warning(f"Where another run goes on could not be told: {error}")
            return False
        return True

    def _clean(self, transcript: bytes) -> bytes:
        return self.context.console.redact(transcript.decode("utf-8", "replace")).encode()
