"""Rows 14, 15 and 16 against the API: hostile names, bombs, and bytes that flipped on their way. Figures are told.

A few hundred flips in every run, ten thousand with AICD_WIDE_TESTS=1.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.administration import Administration
from tests.contract.functions.conftest import REPO, SPEC, Line

pytestmark = pytest.mark.database

FLIPS = 10_000 if os.environ.get("AICD_WIDE_TESTS") == "1" else 150
SECONDS, MEGABYTES = 2.0, 300
OURS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/source")
Ask = Callable[..., Any]


@pytest.fixture
def ask(line: Line) -> Iterator[Ask]:
    """POST to the function, for a caller who may ask as often as he likes."""
    line.database.execute("truncate private.request_times, private.idempotent_requests, private.spec_uploads")
    line.database.execute("insert into private.settings values ('requests_per_caller_and_minute', '1000000')")
    with Administration(line.world.db_url) as operator:
        key = operator.create_api_key({"repo": REPO, "name": "c", "scopes": ["specs:read", "specs:write"]})["key"]
    client = line.function("specs")

    def post(path: str = "/specs", **request: Any) -> Any:
        headers = {"Authorization": f"Bearer {key}", **request.pop("headers", {})}
        return client.post(path, headers=headers, **request)

    yield post
    line.database.execute("delete from private.settings where name = 'requests_per_caller_and_minute'")


NAMES = (
    "../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\spec.yaml", "a%2e%2e%2fb", "%00.yaml",
    "\uff0e\uff0e\uff0fspec", "spec.yaml\u202elmay.exe", "SPEC.YAML", "spec.yaml", "con", "a" * 200, "a" * 201,
    "nul\x00.yaml", "a\nb", "", " ", "~", "$(id)", "`id`", "${{ github.token }}", "<script>alert(1)</script>",
    "'; drop table specs; --", "spec.yaml/../../x", "\ud800",
)  # fmt: skip


def test_hostile_name_is_shown_and_is_never_a_key(line: Line, ask: Ask, record_property: Any) -> None:
    statuses: Counter[int] = Counter()
    for number, name in enumerate(NAMES):
        spec = SPEC.replace("project: greeting", f"project: greeting{number}")
        statuses[ask(json={"spec": spec, "name": name}).status_code] += 1
        announced = {"sha256": f"{number:064x}", "size": 1, "name": name}
        upload = ask("/specs/uploads", json=announced)
        assert upload.status_code == 422 or OURS.fullmatch(upload.json["data"]["path"]), name
    assert set(statuses) == {201, 422}
    keys = [key for (key,) in line.rows("select name from storage.objects where bucket_id = 'specs'")]
    assert keys
    assert all(OURS.fullmatch(key) for key in keys)
    assert line.rows("select count(*) from specs where name ~ '[[:cntrl:]]'") == [(0,)]
    record_property("figure", f"row 14: {len(NAMES)} names by two ways, statuses {dict(statuses)}, 0 keys not ours")


def nested(opening: str, closing: str, depth: int = 1_000_000) -> bytes:
    return (opening * depth + closing * depth).encode()[: 2 * 1024 * 1024]


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(ord('b') + n)}: &{chr(ord('b') + n)} [{','.join(['*' + chr(ord('a') + n)] * 9)}]\n" for n in range(9)
)
BOMBS: dict[str, tuple[bytes, str]] = {
    "deep JSON": (nested("[", "]"), "application/json"),
    "deep JSON objects": (nested('{"a":', "}"), "application/json"),
    "deep JSON inside a field": (b'{"spec": ' + nested("[", "]") + b"}", "application/json"),
    "deep YAML": (nested("[", "]"), "application/yaml"),
    "deep YAML blocks": (b"".join(b" " * n + b"a:\n" for n in range(1_500)), "application/yaml"),
    "billion laughs": (LAUGHS.encode(), "application/yaml"),
    "aliases": (b"a: &a x\nb: [" + b"*a, " * 200_000 + b"]\n", "application/yaml"),
    "a million keys": (b"".join(b"k%d: 1\n" % n for n in range(150_000)), "application/yaml"),
    "one long line": (b"x" * 2_000_000, "text/plain"),
    "markdown of brackets": (b"[" * 500_000, "text/markdown"),
    "markdown of quotes": (b"> " * 400_000 + b"x", "text/markdown"),
    "a number of a million digits": (b'{"spec": ' + b"9" * 1_000_000 + b"}", "application/json"),
    "2 MB and one byte": (b"x" * (2 * 1024 * 1024 + 1), "text/plain"),
    "20 MB": (b"x" * 20_000_000, "application/json"),
    "gzip, said to be JSON": (gzip.compress(b" " * 10_000_000), "application/json"),
}  # fmt: skip


def test_bomb_is_refused_soon_with_a_reason_and_little_memory(ask: Ask, record_property: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest, worst = 0.0, ""
    for name, (body, kind) in BOMBS.items():
        begin = time.process_time()
        answer = ask(data=body, content_type=kind)
        seconds = time.process_time() - begin
        assert 400 <= answer.status_code < 500, (name, answer.text[:300])
        assert answer.json["errors"][0]["message"], name
        if seconds > slowest:
            slowest, worst = seconds, name
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert slowest <= SECONDS, worst
    assert grown <= MEGABYTES
    record_property("figure", f"row 15: {len(BOMBS)} bombs, slowest {slowest:.2f} s ({worst}), memory +{grown:.0f} MB")


def test_flipped_bytes_never_crash_the_function(line: Line, ask: Ask, record_property: Any) -> None:
    """Half of them in a bare specification, half in the JSON around it."""
    dice = random.Random(16)
    wrapped = json.dumps({"spec": SPEC, "name": "spec.yaml", "format": "yaml"}).encode()
    statuses: Counter[int] = Counter()
    for number in range(FLIPS):
        body = bytearray(SPEC.encode() if number % 2 else wrapped)
        for _ in range(dice.choice((1, 1, 3, 20))):
            body[dice.randrange(len(body))] ^= 1 << dice.randrange(8)
        kind = "application/yaml" if number % 2 else "application/json"
        answer = ask(data=bytes(body), content_type=kind)
        assert answer.status_code < 500, (number, bytes(body), answer.text)
        assert answer.status_code < 300 or answer.json["errors"], number
        statuses[answer.status_code] += 1
    assert statuses[422] > FLIPS // 10
    record_property(
        "figure", f"row 16: {FLIPS} requests with flipped bits, {dict(sorted(statuses.items()))}, 0 above 499"
    )
