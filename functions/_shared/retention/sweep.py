"""One round of retention. The database says what is to go; objects go through Storage, which takes the bytes along.

The order survives any interruption: an object is marked, removed, and only then is the row that names it deleted. What
a round leaves half done, the next one finds marked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions._shared.ports import RetentionStore

# Of each table and of objects, in a minute: what a round may take without keeping tick from its other tasks.
MOST_ROWS = 500
# Storage takes up to a thousand names in one request.
MOST_NAMES = 250


@dataclass(frozen=True)
class Swept:
    """What went. `rows` by table."""

    rows: Mapping[str, int]
    objects: int

    def as_json(self) -> dict[str, Any]:
        return {"rows": sum(self.rows.values()), "objects": self.objects}


def sweep(store: RetentionStore) -> Swept:
    """Delete what its policy keeps no longer, and objects that no row names. Raises what the store raises."""
    first = store.expire_rows(MOST_ROWS)
    paths: dict[str, list[str]] = defaultdict(list)
    for marked in first["objects"]:
        paths[marked["bucket"]].append(marked["path"])
    removed = sum(
        store.remove_objects(bucket, names[start : start + MOST_NAMES])
        for bucket, names in paths.items()
        for start in range(0, len(names), MOST_NAMES)
    )
    rows = dict(first["rows"])
    if removed:
        # The rows of what has just been removed; what is marked meanwhile waits for the next minute.
        for table, count in store.expire_rows(MOST_ROWS)["rows"].items():
            rows[table] = rows.get(table, 0) + count
    return Swept(rows, removed)
