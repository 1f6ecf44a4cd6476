"""The part of Gmail's search language that a program uses: `q` of messages.list.

An operator that is not known here is refused instead of ignored: a query that silently matches everything would hide a
mistake.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime

from local.doubles.exchange import RefusedCall
from local.doubles.google.headers import Headers, decode_text
from local.doubles.google.nouns import Message

Test = Callable[[Message, Headers], bool]
_SPANS = {"h": 3_600_000, "d": 86_400_000, "m": 30 * 86_400_000, "y": 365 * 86_400_000}


def compile_query(text: str, now_ms: int) -> Test:
    """One predicate for the whole query; terms are joined by AND. Raises RefusedCall for an unknown operator."""
    try:
        terms = shlex.split(text)
    except ValueError as error:
        raise RefusedCall(400, f"query q: {error}", mismatch=True) from error
    tests = [_term(term, now_ms) for term in terms]
    return lambda message, headers: all(test(message, headers) for test in tests)


def names_place(text: str) -> bool:
    """Whether the query itself says in which folders to look; otherwise spam and trash are left out."""
    return re.search(r"\bin:(spam|trash|anywhere)\b", text, re.IGNORECASE) is not None


def _term(term: str, now_ms: int) -> Test:
    if term.startswith("-"):
        wanted = _term(term[1:], now_ms)
        return lambda message, headers: not wanted(message, headers)
    name, colon, value = term.partition(":")
    if not colon or not value:
        raise RefusedCall(
            400, f"query q: the double searches by operators only, not by the word {term!r}", mismatch=True
        )
    return _operator(name.lower(), value, now_ms)


def _operator(name: str, value: str, now_ms: int) -> Test:
    if name == "rfc822msgid":
        wanted = f"<{value.strip('<>')}>"
        return lambda message, _: message.rfc_message_id == wanted
    if name in ("in", "label", "is"):
        return _in_place(value)
    if name in ("from", "to", "subject"):
        return lambda _, headers: value.lower() in decode_text(headers.first(name)).lower()
    if name in ("after", "newer", "before", "older"):
        limit = _moment(value)
        after = name in ("after", "newer")
        return lambda message, _: (message.internal_date_ms >= limit) is after
    span = re.fullmatch(r"(\d{1,4})([hdmy])", value)
    if name in ("newer_than", "older_than") and span:
        since = now_ms - int(span[1]) * _SPANS[span[2]]
        return lambda message, _: (message.internal_date_ms >= since) is (name == "newer_than")
    raise RefusedCall(400, f"query q: the double does not know {name}:{value}", mismatch=True)


def _in_place(value: str) -> Test:
    label = value.upper()
    if label == "ANYWHERE":
        return lambda _message, _headers: True
    if label == "READ":
        return lambda message, _: "UNREAD" not in message.label_ids
    return lambda message, _: label in (known.upper() for known in message.label_ids)


def _moment(value: str) -> int:
    """Epoch seconds, or a day such as 2026/11/21 (midnight UTC; Gmail uses the account's zone), in milliseconds."""
    if value.isdecimal():
        return int(value) * 1000
    try:
        day = datetime.strptime(value.replace("-", "/"), "%Y/%m/%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise RefusedCall(400, f"query q: {value!r} is no date", mismatch=True) from error
    return int(day.timestamp() * 1000)
