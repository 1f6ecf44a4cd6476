"""Which mutants are run: of the changed lines, a sample that the head commit alone decides."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass

from action.verify.checkout import Snapshot
from action.verify.layout import is_side_script, is_source
from action.verify.mutation.operators import Mutant, find_mutants
from action.verify.testcode import parse

MOST_MUTANTS = 30
# A module of more lines than this is generated; its mutants alone would fill the memory.
LONGEST_MODULE = 20_000


@dataclass(frozen=True)
class Sample:
    """`mutants` in the order they are run; `possible` is how many they were drawn from."""

    seed: int
    possible: int
    mutants: tuple[Mutant, ...]


def draw_sample(base: Snapshot, head: Snapshot, lines: Mapping[str, frozenset[int]]) -> Sample:
    """Draw from the product's changed lines. The same commit always gives the same sample."""
    seed = int(hashlib.sha256(head.commit.encode()).hexdigest()[:8], 16)
    patterns = base.pytest_config.python_files
    found: list[Mutant] = []
    for path in sorted(lines):
        text = head.text(path)
        if is_source(path, patterns) and not is_side_script(path) and text.count("\n") <= LONGEST_MODULE:
            found += find_mutants(path, text, lines[path])
    drawn = random.Random(seed).sample(found, min(MOST_MUTANTS, len(found)))  # noqa: S311 - to be repeated, not secret
    valid = [mutant for mutant in drawn if parse(mutant.put_into(head.text(mutant.path))) is not None]
    return Sample(seed, len(found), tuple(sorted(valid)))
