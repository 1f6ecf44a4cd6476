"""By what a mailbox's mail is read and its senders are proven. Light, as the envelope is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.errors import OutsideError

if TYPE_CHECKING:
    from controlplane.message import Message
    from controlplane.spec import SpecCheck


class MailHeldBack(OutsideError):
    """This mail cannot be judged now; others can."""

    default_code = "mail-held-back"


@dataclass(frozen=True)
class MailboxProof:
    """What a mailbox itself says of how its senders are proven; what it does not say is as for all."""

    authserv_id: str | None = None
    verifies_dkim: bool | None = None


@dataclass(frozen=True)
class Reader:
    """The two pure readers of hostile bytes."""

    read_mail: Callable[[bytes], Message]
    check_spec: Callable[[bytes, str], SpecCheck]
