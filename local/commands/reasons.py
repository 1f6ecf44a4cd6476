"""What became of a mail, in words: the stable reasons of the front door as a sentence each."""

from __future__ import annotations

_SENTENCES = {
    "ok": "the sender is proven",
    "no-authentication-results": "the trusted server left no Authentication-Results",
    "no-dmarc": "the trusted server says nothing about DMARC",
    "dmarc-fail": "DMARC did not pass",
    "not-aligned": "DMARC passed for another domain than the one in From",
    "malformed-authentication-results": "the Authentication-Results header cannot be understood",
    "no-from": "there is no From header",
    "several-from": "there is more than one sender",
    "malformed-from": "the From header does not hold exactly one plain address",
    "misleading-display-name": "the sender's name shows another address than his own",
    "malformed-headers": "the headers can be read in more than one way",
    "auto-reply": "a machine answered",
    "bounce": "it is a delivery report",
    "mailing-list": "it came over a mailing list",
    "own-mail": "we wrote it ourselves",
    "unreadable": "it cannot be read",
    "too-large": "it is too large",
    "unknown-sender": "its sender is not on the allow-list",
    "answer": "it answers a question",
    "thanks": "it only says thanks, which needs no answer",
    "no-specification": "there is no specification in it, and no letter",
    "specification-invalid": "the specification has to be corrected; the reply names each place",
    "too-many-specifications": "it carries too many specifications",
    "planning-off": "it is a letter, or a specification without sprints, and letters are not planned here",
    "repository-missing": "the letter does not say which repository it is for",
    "repository-not-allowed": "its sender may have nothing built in that repository",
    "branch-not-allowed": "its sender may have nothing built on that branch",
    "daily-limit": "its sender has sent as many today as he may",
    "duplicate": "it was here already",
}

_FIXES = {
    "no-authentication-results": "A mail saved from Gmail (Show original, Download) has them; `aicd send FILE` stamps "
    "a hand-written one as Google would.",
    "no-from": "Write `From: NAME <ADDRESS>` as one of its first lines, before the empty one.",
    "unreadable": "Write `From:`, `To:` and `Subject:` lines, an empty line, then the text, or save a mail as .eml.",
}


def explain(reason: str) -> str:
    """A sentence with the reason behind it; the reason alone where there is no sentence for it."""
    sentence = _SENTENCES.get(reason)
    return f"{sentence} ({reason})" if sentence else reason


def suggest_fix(reason: str) -> str:
    """What somebody who wrote the mail himself does about it; nothing where nobody can do anything here."""
    return _FIXES.get(reason, "")
