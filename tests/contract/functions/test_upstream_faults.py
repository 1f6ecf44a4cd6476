"""Row 7 of what goes wrong: eleven kinds of fault in every outgoing call of the functions, on their wired parts.

Each call meets each kind. Meanwhile it ends in time with an error of ours, after a bounded number of tries that keep to
Retry-After; when the fault is over it works, and whatever it does is done once. With AICD_WIDE_TESTS=1 each kind comes
before the effect and after it.
"""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import stamina

from controlplane.errors import OutsideError
from tests.contract.functions.conftest import letter
from tests.contract.functions.outgoing import Place, Row, github_rows, google_rows, supabase_rows
from tests.unreliable import KINDS, RETRY_AFTER_SECONDS, Fault

WIDE = os.environ.get("AICD_WIDE_TESTS") == "1"
WORST_SECONDS = 20.0


@dataclass
class Cell:
    row: str
    kind: str
    seconds: float = 0.0
    tries: int = 0
    code: str = ""
    wrong: list[str] = field(default_factory=list)


@pytest.fixture(autouse=True)
def _real_pauses(_no_pauses: None) -> Iterator[None]:
    with stamina.set_testing(False):
        yield


@pytest.fixture
def place(line: Any) -> Iterator[Place]:
    line.call(line.function("tick"))
    [(mailbox_id,)] = line.rows("select id::text from public.mailboxes")
    with ExitStack() as proxies:
        yield Place(line, proxies, mailbox_id)


def faults(row: Row) -> list[tuple[str, Fault]]:
    if not WIDE:
        return [(kind, Fault(kind, row.path)) for kind in row.kinds]
    return [(f"{kind}/{'late' if late else 'early'}", Fault(kind, row.path, late)) for kind in KINDS for late in (0, 1)]


def play(row: Row) -> list[Cell]:
    """One call through all kinds, on one client: what a fault leaves in it is met by the next."""
    row.act(f"{row.name}-healthy-{uuid.uuid4().hex[:8]}")
    return [_play(row, name, fault) for name, fault in faults(row)]


def _play(row: Row, name: str, fault: Fault) -> Cell:
    cell, token = Cell(row.name, name), f"{row.name}-{fault.kind}-{uuid.uuid4().hex[:8]}"
    began = time.monotonic()
    with row.proxy.failing(fault):
        try:
            row.act(token)
            cell.code = "answered"
        except OutsideError as error:
            cell.code = error.code
            if fault.kind == "429" and row.hands_wish_on and error.retry_after_seconds != RETRY_AFTER_SECONDS:
                cell.wrong.append("does not tell how long to wait")
        except Exception as error:  # whatever else leaves the boundary is what is looked for
            cell.code = f"{type(error).__name__}: {error}"
            cell.wrong.append("is no OutsideError")
        cell.seconds, times = time.monotonic() - began, list(row.proxy.spoiled)
    cell.tries = len(times)
    if cell.code == "answered" and fault.kind not in row.unseen:
        cell.wrong.append("a spoiled answer was taken for a good one")
    if not times and fault.kind != "refused":
        cell.wrong.append("nothing was injected")
    if cell.tries > row.tries:
        cell.wrong.append(f"more than {row.tries} tries")
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    if fault.kind == "429" and any(pause < RETRY_AFTER_SECONDS - 0.05 for pause in pauses):
        cell.wrong.append(f"Retry-After was not kept: {pauses}")
    if cell.seconds > WORST_SECONDS:
        cell.wrong.append(f"took longer than {WORST_SECONDS} s")
    if row.proxy.strayed:
        cell.wrong.append(f"followed a redirection: {row.proxy.strayed}")
        row.proxy.strayed.clear()
    try:
        (row.again or row.act)(token)
        row.check(token)
    except Exception as error:  # told with its cell
        cell.wrong.append(f"afterwards: {type(error).__name__}: {error}")
    return cell


def test_every_outgoing_call_meets_every_fault(place: Place, record_property: Callable[[str, object], None]) -> None:
    rows = [*google_rows(place), *github_rows(place), *supabase_rows(place)]
    began = time.monotonic()
    with ThreadPoolExecutor(len(rows)) as pool:
        cells = [cell for played in pool.map(play, rows) for cell in played]
    worst = max(cells, key=lambda cell: cell.seconds)
    figure = (
        f"row 7: {len(rows)} calls, {len(cells)} cells of call and fault, {sum(max(c.tries, 1) for c in cells)} faults "
        f"injected; worst {worst.seconds:.1f} s ({worst.row}, {worst.kind}); {time.monotonic() - began:.0f} s in all"
    )
    record_property("figure", figure)
    for cell in cells:
        print(f"{cell.row:30} {cell.kind:24} {cell.tries} tries {cell.seconds:5.1f} s  {cell.code}")
    print(figure)
    assert [f"{cell.row}, {cell.kind}: {cell.code}: {cell.wrong}" for cell in cells if cell.wrong] == []


@pytest.mark.parametrize("path", ["/rpc/ingest_message_v1", "/object/specs"], ids=["verb", "object"])
@pytest.mark.parametrize("kind", ["garbage", "page", "302", "500"])
def test_mail_is_kept_for_later_whatever_supabase_answers(place: Place, kind: str, path: str) -> None:
    """And not refused as unreadable, as if the nonsense had been its own."""
    line, proxy = place.line, place.proxy(place.line.world.api_url)
    push = line.function("gmail_push", SUPABASE_URL=proxy.url)
    line.deliver(letter())
    with proxy.failing(Fault(kind, path)):
        assert line.push(push).status_code == 503
        assert proxy.spoiled
    assert line.rows("select state from public.messages") == []
    assert line.push(push).status_code == 204
    assert line.rows("select state from public.messages") == [("ACCEPTED",)]
