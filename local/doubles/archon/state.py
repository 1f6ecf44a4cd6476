"""What the Archon double remembers, in memory only: projects with documents and versions, tasks, knowledge."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]
CONTENT = ("document_type", "content", "tags", "author")


@dataclass
class ArchonState:
    """Rows by id, in the order in which they came. Safe to use from several threads."""

    projects: dict[str, Row] = field(default_factory=dict)
    tasks: dict[str, Row] = field(default_factory=dict)
    documents: dict[str, Row] = field(default_factory=dict)
    versions: list[Row] = field(default_factory=list)
    sources: list[Row] = field(default_factory=list)
    pages: list[Row] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def create(self, table: dict[str, Row], **values: Any) -> Row:
        """A new row with an id and its times."""
        with self.lock:
            now = datetime.now(UTC).isoformat()
            row = {"id": str(uuid.uuid4()), **values, "created_at": now, "updated_at": now}
            table[row["id"]] = row
            return row

    def update(self, table: dict[str, Row], row_id: str, values: Row) -> Row | None:
        """The row with what was given changed, None where there is none."""
        with self.lock:
            row = table.get(row_id)
            if row is not None:
                row.update({key: value for key, value in values.items() if value is not None})
                row["updated_at"] = datetime.now(UTC).isoformat()
            return row

    def add_knowledge(self, title: str, url: str, content: str) -> Row:
        """A source with one page, for the tools that search."""
        with self.lock:
            source = {"id": f"src_{uuid.uuid4().hex[:8]}", "title": title, "url": url}
            self.sources.append(source)
            page = {"page_id": str(uuid.uuid4()), "source_id": source["id"], "url": url, "title": title}
            self.pages.append({**page, "content": content, "word_count": len(content.split())})
            return source


def choose(rows: Iterable[Row], query: str | None, names: tuple[str, ...]) -> list[Row]:
    """The rows that hold every word of the query in one of these fields; all of them without a query."""
    words = (query or "").lower().split()
    return [row for row in rows if all(_holds(row, word, names) for word in words)]


def page_of(rows: list[Row], page: int, per_page: int) -> list[Row]:
    """One page, counted from 1."""
    start = max(page - 1, 0) * max(per_page, 1)
    return rows[start : start + max(per_page, 1)]


def brief(row: Row, hide: Callable[[str], bool] = lambda name: name in ("sources", "code_examples")) -> Row:
    """As Archon lists a row: long texts cut, lists as counts."""
    shown = {name: value for name, value in row.items() if not hide(name)}
    if len(str(shown.get("description") or "")) > 1_000:
        shown["description"] = f"{shown['description'][:997]}..."
    return shown


def _holds(row: Row, word: str, names: tuple[str, ...]) -> bool:
    return any(word in str(row.get(name) or "").lower() for name in names)
