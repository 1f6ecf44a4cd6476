"""AICD_SMTP_URL → the mail server that sends for us.

| address | speaks |
|---|---|
| `smtps://user:password@host:465` | TLS from the first byte |
| `smtp+starttls://user:password@host:587` | TLS before anything is said; a server that offers none is refused |
| `smtp://host:25` | no TLS; this machine only |

User and password are percent-encoded as in any URL, and may both be left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from controlplane.logs import hide_secret
from controlplane.secret import NO_SECRET, Hidden, Secret
from functions._shared.loopback import is_loopback

if TYPE_CHECKING:
    from functions._shared.settings import Environment

Security = Literal["tls", "starttls", "none"]
# With the port that each has where none is named.
SCHEMES: dict[str, tuple[Security, int]] = {
    "smtps": ("tls", 465),
    "smtp+starttls": ("starttls", 587),
    "smtp": ("none", 25),
}
NAME = "AICD_SMTP_URL"


@dataclass(frozen=True)
class SmtpServer:
    """Where it is, how the way there is kept safe, and who we are there; an empty user does not log in."""

    host: str
    port: int
    security: Security
    user: str = ""
    password: Secret = field(default=NO_SECRET)


def read_smtp_server(environment: Environment) -> SmtpServer:
    """From AICD_SMTP_URL, which holds a password: what `check` tells of it shows no part of it."""
    written = environment.secret(NAME).get_secret_value()
    try:
        parts = urlsplit(written)
        port = parts.port or 0
    except ValueError:
        parts, port = urlsplit(""), 0
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    hide_secret(password)
    problem = _problem(parts, user, password)
    if written and problem:
        environment.refuse(f"{NAME} {problem}")
    security, usual = SCHEMES.get(parts.scheme, ("tls", 465))
    return SmtpServer(parts.hostname or "", port or usual, security, user, Hidden(password))


def _problem(parts: SplitResult, user: str, password: str) -> str:
    """What is wrong with the address, to be put behind its name."""
    if parts.scheme not in SCHEMES or not parts.hostname:
        return f"is not of the form {' or '.join(f'{scheme}://HOST' for scheme in SCHEMES)}"
    if parts.path.strip("/") or parts.query or parts.fragment:
        return "has more than user, password, host and port; percent-encode what is special in the password"
    if bool(user) != bool(password):
        return "has a user without a password, or a password without a user"
    if not all(" " <= sign <= "~" for sign in user + password):
        return "has a user or password with other characters than those of ASCII"
    if SCHEMES[parts.scheme][0] == "none" and not is_loopback(parts.hostname):
        return "would send mail and password without TLS; use smtps:// or smtp+starttls://"
    return ""
