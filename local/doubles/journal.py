"""Keeps a double's documents across restarts: in memory for reading, in an append-only file for surviving.

Each transaction is one line of `journal.jsonl`. A process killed in the middle of a write leaves a torn last line,
which the next start ignores, so a transaction is there as a whole or not at all. The file is rewritten compactly at
every start. One process at a time owns a folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

M = TypeVar("M", bound=BaseModel)


class Counter(BaseModel):
    """The last number given out of one sequence."""

    model_config = ConfigDict(frozen=True)

    value: int


class FolderInUseError(Exception):
    """Another process already owns this state folder."""


class Collection(Generic[M]):
    """Documents of one kind by key. Reads are free; writes belong inside `Journal.transaction`."""

    def __init__(self, name: str, model: type[M], journal: Journal, documents: dict[str, M]) -> None:
        self._name = name
        self._model = model
        self._journal = journal
        self._documents = documents

    def get(self, key: str) -> M | None:
        return self._documents.get(key)

    def values(self) -> list[M]:
        """All documents in the order in which they first appeared."""
        with self._journal.lock:
            return list(self._documents.values())

    def put(self, key: str, document: M) -> M:
        before = self._documents.get(key)
        self._journal.write(self._name, key, document.model_dump(mode="json"), lambda: self._restore(key, before))
        self._documents[key] = document
        return document

    def delete(self, key: str) -> None:
        before = self._documents.get(key)
        self._journal.write(self._name, key, None, lambda: self._restore(key, before))
        self._documents.pop(key, None)

    def _restore(self, key: str, before: M | None) -> None:
        if before is None:
            self._documents.pop(key, None)
        else:
            self._documents[key] = before


class Journal:
    """The state folder of one double. Raises FolderInUseError when another process has it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self._owner = (folder / "lock").open("w")
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FolderInUseError(str(folder)) from error
        self._pending: list[list[Any]] = []
        self._undo: list[Any] = []
        self._depth = 0
        path = folder / "journal.jsonl"
        self._loaded = _replay(path)
        _rewrite(path, self._loaded)
        self._file = path.open("a", encoding="utf-8")
        self._counters = self.collection("counters", Counter)

    def collection(self, name: str, model: type[M]) -> Collection[M]:
        documents = {key: model.model_validate(raw) for key, raw in self._loaded.pop(name, {}).items()}
        return Collection(name, model, self, documents)

    def next_number(self, sequence: str, *, first: int = 1, step: int = 1) -> int:
        """The next number of a sequence, inside a transaction."""
        last = self._counters.get(sequence)
        value = first if last is None else last.value + step
        self._counters.put(sequence, Counter(value=value))
        return value

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written inside is kept together, or undone together when the block raises. May be nested."""
        with self.lock:
            self._depth += 1
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            else:
                if self._depth == 1:
                    self._commit()
            finally:
                self._depth -= 1

    def write(self, name: str, key: str, document: Any, undo: Any) -> None:
        """Notes one change of the running transaction."""
        if self._depth == 0:
            raise RuntimeError("documents are written inside a transaction")
        self._pending.append([name, key, document])
        self._undo.append(undo)

    def close(self) -> None:
        with self.lock:
            self._file.close()
            self._owner.close()

    def _roll_back(self) -> None:
        for undo in reversed(self._undo):
            undo()
        self._pending, self._undo = [], []

    def _commit(self) -> None:
        if self._pending:
            self._file.write(json.dumps(self._pending, separators=(",", ":")) + "\n")
            self._file.flush()
        self._pending, self._undo = [], []


def _replay(path: Path) -> dict[str, dict[str, Any]]:
    collections: dict[str, dict[str, Any]] = {}
    if not path.exists():
        return collections
    for line in path.read_bytes().split(b"\n"):
        try:
            changes = json.loads(line)
        except ValueError:
            continue  # the torn last line of a killed process, or the empty one after the last line break
        for name, key, document in changes:
            documents = collections.setdefault(name, {})
            if document is None:
                documents.pop(key, None)
            else:
                documents[key] = document
    return collections


def _rewrite(path: Path, collections: dict[str, dict[str, Any]]) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        for name, documents in collections.items():
            for key, document in documents.items():
                file.write(json.dumps([[name, key, document]], separators=(",", ":")) + "\n")
    fresh.replace(path)
