"""Secrets in what a change would carry to the remote: in files, in their names, in earlier states, in messages.

An agent is handed none of ours, but those of its MCP servers it may read, and a mail may order it to write them down.
Found is also what base64 makes of a secret, wherever in a longer text it begins. No answer ever shows one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from action.gitrepo.git import git, names
from controlplane.change import EMPTY_TREE

SUBMODULE = "160000"
NO_BLOB = "0" * 40
URL_SAFE = bytes.maketrans(b"+/", b"-_")
WHITE = b" \t\r\n"
SHORTEST_SECRET = 8


@dataclass(frozen=True)
class Needles:
    """What is looked for. Shorter secrets than eight characters would be found everywhere."""

    secrets: Sequence[str]

    @cached_property
    def plain(self) -> tuple[bytes, ...]:
        return tuple(secret.encode() for secret in self.secrets if len(secret) >= SHORTEST_SECRET)

    @cached_property
    def encoded(self) -> tuple[bytes, ...]:
        return tuple(piece for secret in self.plain for piece in _encodings(secret))

    def count(self, data: bytes) -> int:
        """How often one of them stands in the data; base64 may be broken into lines."""
        joined = data.translate(None, WHITE)
        return sum(map(data.count, self.plain)) + sum(map(joined.count, self.encoded))

    def hide(self, name: str) -> str:
        data = name.encode(errors="surrogateescape")
        for needle in (*self.plain, *self.encoded):
            data = data.replace(needle, b"***")
        return data.decode(errors="replace")


@dataclass(frozen=True)
class _Touched:
    """One file in one difference; `old` and `new` are blobs."""

    old: str
    new: str
    path: str


def find_leaks(repository: Path, base: str, head: str, secrets: Sequence[str]) -> tuple[str, ...]:
    """The files into which the difference from `base` to `head` brings a secret, or whose new name is one, with
    nothing of it in the names. What stood there before is no news."""
    needles = Needles(secrets)
    if not needles.plain:
        return ()
    touched = _touched(repository, "diff", base, head)
    return tuple(dict.fromkeys(needles.hide(one.path) for one in _leaking(repository, touched, needles)))


def leaks_on_the_way(repository: Path, base: str, head: str, secrets: Sequence[str]) -> bool:
    """Whether some commit between brings one, even when a later one takes it out, or says it in its message."""
    needles = Needles(secrets)
    if not needles.plain:
        return False
    span = [head] if base == EMPTY_TREE else [f"{base}..{head}"]
    if needles.count(git(repository, "log", "--format=%B", *span).stdout):
        return True
    touched = _touched(repository, "log", "-m", "--format=", *span)
    return next(_leaking(repository, touched, needles), None) is not None


def _leaking(repository: Path, touched: Sequence[_Touched], needles: Needles) -> Iterator[_Touched]:
    held = _count_in_blobs(repository, {one.new for one in touched}, needles)
    before = _count_in_blobs(repository, {one.old for one in touched if held.get(one.new)}, needles)
    for one in touched:
        is_new_name = one.old == NO_BLOB and needles.count(one.path.encode(errors="surrogateescape"))
        if is_new_name or held.get(one.new, 0) > before.get(one.old, 0):
            yield one


def _touched(repository: Path, *asked: str) -> list[_Touched]:
    command, *rest = asked
    fields = names(repository, command, "--raw", "--no-abbrev", "--no-renames", "-z", *rest)
    found = []
    for raw, path in zip(fields[::2], fields[1::2], strict=True):
        _, mode, old, new, _ = raw.strip("\n").lstrip(":").split(" ")
        if mode != SUBMODULE:
            found.append(_Touched(old, new, path))
    return found


def _count_in_blobs(repository: Path, blobs: set[str], needles: Needles) -> dict[str, int]:
    wanted = sorted(blobs - {NO_BLOB})
    if not wanted:
        return {}
    output = git(repository, "cat-file", "--batch", stdin="\n".join([*wanted, ""]).encode()).stdout
    counts, at = {}, 0
    for blob in wanted:
        end = output.index(b"\n", at)
        size = int(output[at:end].split(b" ")[2])
        counts[blob] = needles.count(output[end + 1 : end + 1 + size])
        at = end + 2 + size
    return counts


def _encodings(secret: bytes) -> Iterator[bytes]:
    """Its base64 after no, one and two other bytes, without the characters that hold bits of its neighbours."""
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret)
        piece = text[-(-shift * 8 // 6) : (shift + len(secret)) * 8 // 6]
        yield from dict.fromkeys((piece, piece.translate(URL_SAFE)))
