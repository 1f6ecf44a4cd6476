"""The functions' verb about plain letters. Part of FunctionsStore, apart from its files about other mail."""

from __future__ import annotations

from typing import Any

from controlplane.store.calls import Caller

Row = dict[str, Any]


class LetterCalls(Caller):
    """Part of FunctionsStore."""

    def find_repository(self, sender: str, repo: str, mailbox_id: str, gmail_thread_id: str) -> Row:
        """Which repository a letter is for: {repo: null where none of his is meant, planner: true, false or null where
        its project says nothing, repositories: his, at most twenty, total: how many he has}."""
        return self._call(
            "find_repository_v1",
            dict,
            sender=sender,
            repo=repo,
            mailbox_id=mailbox_id,
            gmail_thread_id=gmail_thread_id,
        )
