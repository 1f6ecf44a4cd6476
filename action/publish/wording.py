"""Code spans and blocks that cannot be left, and figures made readable. Plain words: action/gate/render.py."""

from __future__ import annotations

import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def code(text: object, limit: int = 300) -> str:
    """A code span that cannot be left: the fence is longer than any run of backticks inside."""
    line = " ".join(CONTROL.sub("", str(text)).split())
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    line = line.replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def block(text: str, language: str = "", limit: int = 6000) -> str:
    """A fenced block that cannot be left."""
    kept = text if len(text) <= limit else text[:limit] + "\n… (cut here)"
    longest = max((len(run) for run in re.findall(r"`+", kept)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{kept.rstrip()}\n{fence}"


def percent(ratio: float | None) -> str:
    """Rounded down, so that 99.96 % never reads as done."""
    return "not measured" if ratio is None else f"{int(ratio * 1000) / 10:.1f} %"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
