"""A mail, judged: either its sender is proven, or it is refused with a reason."""

from __future__ import annotations

from typing import Literal

from controlplane.noun import Noun

# What stands for the name of a specification that was written in the mail's own text.
LETTER_NAME = "mail text"
# The domain of Message-IDs that we made for mails without one; no reply may refer to them.
MADE_ID_DOMAIN = "no-message-id.invalid"
# The reason of a mail whose signature nobody could judge now; the same mail may be proven in an hour.
KEY_UNAVAILABLE = "dkim-key-unavailable"


class SpecAttachment(Noun):
    """A candidate specification found in a mail. `name` is the sender's and is only shown, never used as a path."""

    name: str
    format: Literal["yaml", "json", "markdown", "text"]
    content: bytes


class Message(Noun):
    """`sender` is proven only when `accepted`; otherwise it is the claimed address, for the record.

    `reason` is a stable kebab-case word. Accepted: ok. Not proven: no-authentication-results, no-dmarc, dmarc-fail,
    not-aligned, malformed-authentication-results, no-from, several-from, malformed-from, misleading-display-name,
    malformed-headers, dkim-…. Not written by a person to us: auto-reply, bounce, mailing-list, own-mail. Else:
    unreadable, too-large.
    `problems` say what could not be read of it; `notes` never stop anything. `left_out` says which of its words were
    taken for a signature or a quotation; `unread` names the files that somebody may have meant and nobody read.
    `thread` is the RFC 5322 thread root: first of References, else In-Reply-To, else Message-ID.
    """

    sender: str
    accepted: bool
    reason: str
    rfc_message_id: str = ""
    thread: str = ""
    subject: str = ""
    references: str = ""
    body_text: str = ""
    specs: tuple[SpecAttachment, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
