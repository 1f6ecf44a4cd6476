"""Whether a mail's sender is proven: the receiving server's Authentication-Results, read by RFC 8601's grammar.

Only the topmost header of the trusted server counts; whatever stands below may be the sender's own invention. Comments
are skipped as comments and quoted strings read as such, because both can hold `dmarc=pass`. ARC's copies do not count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from functions._shared.mail.address import normal_domain, read_from, read_quoted, skip_comment
from functions._shared.mail.headers import Headers

# RFC 8601 wants tokens; real servers write `header.b=ab+/c=` and `smtp.mailfrom=a@b` unquoted.
_RUN = re.compile(r"[^\s;()\"]+")
# The reasons that say nothing against the sender: the trusted server was silent on DMARC.
NO_INFORMATION = frozenset({"no-authentication-results", "no-dmarc"})
_KEYWORD = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.IGNORECASE)


@dataclass(frozen=True)
class Sender:
    """`address` is proven only if `accepted`."""

    address: str
    accepted: bool
    reason: str


@dataclass
class MethodResult:
    """One `method=result` with its `type.property=value` pairs; a property may be written more than once."""

    method: str
    result: str
    properties: list[tuple[str, str]] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.properties if key == name]


class Malformed(ValueError):
    """The header does not follow the grammar, so that nothing in it counts. Never leaves this package."""


def judge_sender(headers: Headers, trusted_authserv_id: str) -> Sender:
    """Accepted only with one unambiguous From address whose domain the trusted server proved by DMARC."""
    sender = read_from(headers)
    if headers.irregular:
        return Sender(sender.claimed, accepted=False, reason="malformed-headers")
    if sender.reason:
        return Sender(sender.claimed, accepted=False, reason=sender.reason)
    reason = _judge_results(headers, trusted_authserv_id, sender.domain)
    return Sender(sender.address, accepted=reason == "ok", reason=reason)


def _judge_results(headers: Headers, trusted: str, domain: str) -> str:
    payload = _topmost(headers, trusted)
    if payload is None:
        return "no-authentication-results"
    try:
        results = parse_results(payload)
    except Malformed:
        return "malformed-authentication-results"
    judged = [result for result in results if result.method == "dmarc"]
    if not judged:
        return "no-dmarc"
    if any(result.result != "pass" for result in judged):
        return "dmarc-fail"
    proven = [normal_domain(value) for result in judged for value in result.values("header.from")]
    every = all(result.values("header.from") for result in judged)
    return "ok" if every and all(value == domain for value in proven) else "not-aligned"


def _topmost(headers: Headers, trusted: str) -> str | None:
    for payload in headers.all("authentication-results"):
        try:
            server, _ = _server(_lex(payload))
        except Malformed:
            found = _RUN.match(payload.lstrip())
            server = found.group() if found else ""
        if server.isascii() and server.lower() == trusted.lower():
            return payload
    return None


def parse_results(payload: str) -> list[MethodResult]:
    """Every method's result, names and results in lower case. Raises `Malformed`."""
    _, rest = _server(_lex(payload))
    if rest and rest[0] != (";", ";"):
        raise Malformed("text between the server's name and the first ';'")
    groups: list[list[tuple[str, str]]] = []
    for token in rest:
        if token == (";", ";"):
            groups.append([])
        else:
            groups[-1].append(token)
    if groups and not groups[-1]:
        groups.pop()  # a trailing ';' is common and harmless
    if len(groups) == 1 and groups[0] == [("run", "none")]:
        return []
    return [_result(group) for group in groups]


def _server(tokens: list[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
    """The authserv-id, and what follows its optional version; only version 1 is known."""
    if not tokens or tokens[0][0] not in ("run", "quoted"):
        raise Malformed("no authserv-id")
    rest = tokens[1:]
    if rest and rest[0][0] == "run":
        if rest[0][1] != "1":
            raise Malformed("an unknown version")
        rest = rest[1:]
    return tokens[0][1], rest


def _result(group: list[tuple[str, str]]) -> MethodResult:
    pairs = _pairs(group)
    if not pairs:
        raise Malformed("an empty result")
    method, result = pairs[0]
    method = method.partition("/")[0].lower()
    if not _KEYWORD.fullmatch(method) or not _KEYWORD.fullmatch(result):
        raise Malformed("no method=result")
    return MethodResult(method, result.lower(), [(name.lower(), value) for name, value in pairs[1:]])


def _pairs(group: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """`name = value` pairs; white space and comments may stand around '=', '.' and '/'."""
    pieces: list[tuple[str, str]] = []
    for kind, text in group:
        before = pieces[-1] if pieces else ("", "")
        if _continues_name(before, kind, text):
            pieces[-1] = ("run", before[1] + text)
        elif _continues_value(before, kind, text):
            pieces[-1] = ("pair", before[1] + text)
        else:
            pieces.append((kind, text))
    return [_pair(kind, text) for kind, text in pieces]


def _continues_name(before: tuple[str, str], kind: str, text: str) -> bool:
    """`header` `.` `from`, `dmarc` `/` `1`, `dmarc` `=`."""
    is_name = before[0] == "run" and "=" not in before[1] and kind == "run"
    return is_name and (before[1].endswith((".", "/")) or text.startswith((".", "/", "=")))


def _continues_value(before: tuple[str, str], kind: str, text: str) -> bool:
    """The value after a lone `=`, and the parts of `"quoted local part"@domain`."""
    if before[0] == "run":
        return before[1].endswith("=") and before[1].count("=") == 1
    return before[0] == "pair" and (kind == "quoted" or text.startswith("@"))


def _pair(kind: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if kind == "quoted" or not equals or not name or (kind == "run" and not value):
        raise Malformed("a word that is no 'name=value'")
    return name, value


def _lex(payload: str) -> list[tuple[str, str]]:
    """Semicolons, quoted strings and runs of other characters; comments and white space are left out."""
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(payload):
        character = payload[at]
        if character.isspace():
            at += 1
        elif character == "(":
            after = skip_comment(payload, at)
            if after is None:
                raise Malformed("a comment that never ends")
            at = after
        elif character == '"':
            quoted = read_quoted(payload, at)
            if quoted is None:
                raise Malformed("a quoted string that never ends")
            tokens.append(("quoted", quoted[0]))
            at = quoted[1]
        elif character == ";":
            tokens.append((";", ";"))
            at += 1
        else:
            match = _RUN.match(payload, at)
            if match is None:
                raise Malformed("a character out of place")
            tokens.append(("run", match.group()))
            at = match.end()
    return tokens
