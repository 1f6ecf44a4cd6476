"""When a limit of the API ends, by what the API said of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from action.plan.troubles import find_resume_time as told_time

# The subscription's own words, where no header came with them: `resets 3pm (UTC)`, `resets Jan 1, 2030, 12am (UTC)`.
RESETS = re.compile(r"resets\s+(?:(?P<day>[A-Z][a-z]{2} \d{1,2})(?:, (?P<year>\d{4}))?,? (?:at )?)?"
                    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?(?P<half>am|pm) \(UTC\)")  # fmt: skip


@dataclass(frozen=True)
class LimitSeen:
    """`is_told`: the API named the time; else it is our own guess of some minutes."""

    status: int
    resume_at: datetime
    is_told: bool


def find_resume_time(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> LimitSeen:
    """From an answer's headers and body."""
    return LimitSeen(status, *told_time(headers, _message(body), now))


def find_reset(text: str, now: datetime) -> datetime | None:
    """The time in the agent's own sentence; None where it names none that we can read."""
    found = RESETS.search(text)
    if found is None:
        return None
    hour = int(found["hour"]) % 12 + (12 if found["half"] == "pm" else 0)
    at = now.replace(hour=hour, minute=int(found["minute"] or 0), second=0, microsecond=0)
    if found["day"]:
        try:
            day = datetime.strptime(f"{found['day']} {found['year'] or now.year}", "%b %d %Y")  # noqa: DTZ007
        except ValueError:
            return None
        at = at.replace(year=day.year, month=day.month, day=day.day)
        return at.replace(year=at.year + 1) if at < now and not found["year"] else at
    return at if at > now else at.fromtimestamp(at.timestamp() + 24 * 3600, at.tzinfo)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
