"""The words for where things stand. The moves between them are enforced in the database: docs/states.md draws them."""

from __future__ import annotations

from enum import StrEnum


class SprintState(StrEnum):
    PLANNED = "PLANNED"
    NEEDS_INPUT = "NEEDS_INPUT"
    NEEDS_APPROVAL = "NEEDS_APPROVAL"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Result(StrEnum):
    PASSED = "PASSED"
    FAILED = "FAILED"


class Phase(StrEnum):
    SPEC_RECEIVED = "SPEC_RECEIVED"
    PLANNING = "PLANNING"
    BUILD = "BUILD"
    TESTING = "TESTING"
    TESTS_PASSED = "TESTS_PASSED"
    TESTS_FAILED = "TESTS_FAILED"
    PR_OPENED = "PR_OPENED"
    MERGED = "MERGED"
    DEPLOYED = "DEPLOYED"
    PAUSED = "PAUSED"
    FAILED = "FAILED"


class MessageState(StrEnum):
    """What became of a mail. Only ACCEPTED claims the (mailbox, sender, Message-ID) triple."""

    ACCEPTED = "ACCEPTED"  # at least one specification was stored to be built
    INVALID = "INVALID"  # a known sender wrote something we cannot build; he gets an answer
    REFUSED = "REFUSED"  # forged, unknown or looping; recorded, never answered
    IGNORED = "IGNORED"  # not meant for us: our own mail, drafts, spam
