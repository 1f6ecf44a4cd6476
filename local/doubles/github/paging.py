"""Pages of a list, with GitHub's Link header (RFC 8288)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from local.doubles.exchange import Answer, Call

T = TypeVar("T")


def page_of(call: Call, items: Sequence[T], default: int = 30) -> tuple[Sequence[T], dict[str, str]]:
    """The wanted page and the headers that lead to the others."""
    size = max(1, min(int(call.one("per_page", str(default))), 100))
    page = max(1, int(call.one("page", "1")))
    last = max(1, -(-len(items) // size))
    targets = {"prev": page - 1, "next": page + 1, "first": 1, "last": last}
    wanted = {name: number for name, number in targets.items() if 1 <= number <= last and number != page}
    links = ", ".join(f'<{_address(call, number)}>; rel="{name}"' for name, number in wanted.items())
    return items[(page - 1) * size : page * size], {"link": links} if links else {}


def listing(call: Call, items: Sequence[T], show: Callable[[T], Any]) -> Answer:
    """A plain JSON array of the wanted page."""
    page, headers = page_of(call, items)
    return Answer(document=[show(item) for item in page], headers=headers)


def counted(call: Call, name: str, items: Sequence[T], show: Callable[[T], Any]) -> Answer:
    """An object with `total_count` and the wanted page under its name."""
    page, headers = page_of(call, items)
    return Answer(document={"total_count": len(items), name: [show(item) for item in page]}, headers=headers)


def _address(call: Call, page: int) -> str:
    query = [(name, value) for name, value in call.query if name != "page"]
    return f"{call.base_url}{call.path}?{urlencode([*query, ('page', str(page))])}"
