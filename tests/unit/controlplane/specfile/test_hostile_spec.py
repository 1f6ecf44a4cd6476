"""Bombs and broken bytes: a problem or a specification, in bounded time, never an exception."""

# ruff: noqa: E501 - a row of a table stays on its line

from __future__ import annotations

import random
import time

import pytest

from controlplane.specfile import check_spec

MIB = 1 << 20
FRONT = b"---\nproject: x\nrepo: a/b\n---\n"

BOMBS = {
    "json brackets": (b"[" * 1_000_000, "s.json", "nested deeper"),
    "yaml brackets": (b"[" * 1_000_000, "s.yaml", "nested deeper"),
    "nameless brackets": (b"[" * 1_000_000, "", "nested deeper"),
    "braces": (b"{a: " * (MIB // 4), "s.yaml", "nested deeper"),
    "dashes": (b"- " * (MIB // 2), "s.yaml", "nested deeper"),
    "laughs": (b"a: &a [x,x]\n" + b"".join(b"b%d: [*a,*a]\n" % n for n in range(1000)), "s.yaml", "anchors"),
    "tag": (b"!" * MIB, "s.yaml", "tags"),
    "values": (b"a: [" + b"1," * (MIB // 3) + b"]", "s.yaml", "more than 20000 values"),
    "ten megabytes": (b"a" * 10_000_000, "s.yaml", "1 MiB"),
    "lines": (b"- [ ] x\n" * 100_000, "s.md", "lines"),
    "files": (b'{"files": [' + b'{"path":"a","content":""},' * 5_000 + b"1]}", "s.json", ""),
}

SLOW = {
    "list items": (FRONT + b"## Sprint 1\n### US1\n" + b"- [ ] x\n" * 9_000, "s.md"),
    "headings": (FRONT + b"## Sprint 1\n### US1\n" * 4_900, "s.md"),
    "sentences": (FRONT + b"## Sprint 1\n### US1\n" + b"as a as a I want " * 50_000, "s.md"),
    "quotes": (b"> " * (MIB // 2), "s.md"),
    "references": (b"[a]: b\n" * 9_000, "s.md"),
    "long text": (b"a: " + b"word " * (MIB // 6), "s.yaml"),
    "duplicates": (b"{" + b",".join(b'"a":1' for _ in range(19_000)) + b"}", "s.json"),
    "strangers": (b"{" + b",".join(b'"k%d":1' % n for n in range(19_000)) + b"}", "s.json"),
}


@pytest.mark.parametrize(("data", "name", "words"), BOMBS.values(), ids=BOMBS.keys())
def test_bomb_is_refused_in_time(data: bytes, name: str, words: str) -> None:
    started = time.process_time()
    check = check_spec(data, name)
    assert time.process_time() - started < 2
    assert not check.valid
    assert any(words in problem.message for problem in check.problems)


@pytest.mark.parametrize(("data", "name"), SLOW.values(), ids=SLOW.keys())
def test_large_document_is_read_in_time(data: bytes, name: str) -> None:
    started = time.process_time()
    check_spec(data, name)
    assert time.process_time() - started < 2


SEEDS = {
    "s.yaml": b"meta: {project: x, repo: a/b}\nplanning:\n  epics:\n  - sprints:\n    - id: s1\n      dod: {coverage_min: 0.8}\n"
    b"      user_stories:\n      - id: US1\n        acceptance:\n        - \"it's \\u00e9\"\n        - |\n          text\n",
    "s.json": b'{"meta": {"project": "x", "repo": "a/b"}, "files": [{"path": "a/b.py", "content": "x\\n"}], "dod": {"tests_min": 2e1}}',
    "s.md": b"---\nproject: x\nrepo: a/b\n---\n## Sprint 1\n- goal\n### US1: x\nAs a b I want c\n- [ ] d\n```python path=a.py\nx\n```\n",
}  # fmt: skip


@pytest.mark.parametrize("name", SEEDS)
def test_flipped_bytes_never_raise(name: str) -> None:
    luck = random.Random(11)
    for _ in range(250):
        broken = bytearray(SEEDS[name])
        for _ in range(luck.choice((1, 1, 2, 6))):
            broken[luck.randrange(len(broken))] = luck.choice((luck.randrange(256), *b"{}[]:-#|>&*!%@`\"'\n\t "))
        check = check_spec(bytes(broken), luck.choice((name, "")))
        assert check.valid is (check.spec is not None)
        assert check.valid is not bool(check.problems)
