"""What the model answered, kept until its plan is recorded: who is killed in between does not pay for it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from action.plan.claude import Reply
from controlplane.errors import AicdError

if TYPE_CHECKING:
    from action.context import Context
    from action.run import Run


class Memory(Protocol):
    """`key` is the SHA-256 of all that was asked."""

    def find(self, key: str) -> Reply | None: ...

    def keep(self, key: str, reply: Reply) -> None: ...

    def forget(self) -> None:
        """No plan comes of what was kept: whoever asks again wants another answer."""


class NoMemory:
    """For a run that no control plane knows."""

    recalled = 0

    def find(self, key: str) -> Reply | None:  # noqa: ARG002 - the Protocol's shape
        return None

    def keep(self, key: str, reply: Reply) -> None: ...

    def forget(self) -> None: ...


class SprintMemory:
    """With the sprint, at the control plane. `recalled` counts the answers that were not paid for again."""

    def __init__(self, context: Context, started: Run) -> None:
        self.recalled = 0
        self._context = context
        self._run_id = started.run_id

    def find(self, key: str) -> Reply | None:
        """Raises OutsideError where it cannot be known: nothing is paid for blindly."""
        assert self._context.store is not None
        kept = self._context.store.find_answer(self._run_id, key)
        try:
            reply = Reply.model_validate(kept) if kept else None
        except ValidationError:
            return None
        self.recalled += reply is not None
        return reply

    def keep(self, key: str, reply: Reply) -> None:
        """An answer that cannot be kept is an answer."""
        assert self._context.store is not None
        try:
            self._context.store.keep_answer(self._run_id, key, reply.model_dump(mode="json"))
        except AicdError as error:
            self._context.console.warning(f"The model's answer could not be kept: {error}", title="planning")

    def forget(self) -> None:
        assert self._context.store is not None
        try:
            self._context.store.forget_answers(self._run_id)
        except AicdError as error:
            self._context.console.warning(f"The model's answers could not be dropped: {error}", title="planning")


def open_memory(context: Context, started: Run) -> SprintMemory | NoMemory:
    return SprintMemory(context, started) if started.controlled and context.store is not None else NoMemory()
