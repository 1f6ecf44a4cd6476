"""How much of a specification we are willing to read. Each bound keeps the worst case under two seconds.

The figures are generous: a plan of two hundred stories has some 6,000 values and 100 KiB.
"""

from __future__ import annotations

MAX_BYTES = 1 << 20
MAX_LINES = 25_000
MAX_MARKDOWN_LINES = 10_000  # each costs its reader ten times what a line of YAML does
MAX_VALUES = 20_000
MAX_DEPTH = 50
MAX_NUMBER_LENGTH = 40
MAX_FILES = 500
MAX_NEEDED = 100
MAX_PROBLEMS = 50
MAX_NOTES = 100
