"""A push handled: who calls is proven on the raw request, then the named mailbox is brought up to date.

Pub/Sub repeats whatever is not answered with 2xx, so only what a repetition can heal is answered otherwise: nonsense,
an unknown mailbox, one whose operator must act, and one that Google wants to be left alone are acknowledged. Nothing is
lost by that: the cursor stays, and tick polls such a mailbox until it works again.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from controlplane.errors import AicdError
from functions._shared.callers.oidc import OidcProof
from functions._shared.endpoint import Call
from functions._shared.envelope import NO_CONTENT, Answer
from functions._shared.intake.notification import UnusableNotification, parse_notification
from functions._shared.intake.sync import Intake, MailboxResting, needs_operator, sync_mailbox

log = structlog.get_logger(__name__)

ACKNOWLEDGED = Answer(status=NO_CONTENT)


@dataclass(frozen=True)
class Push:
    """The wired function."""

    proof: OidcProof
    intake: Intake

    def handle(self, call: Call) -> Answer:
        """Answer one push. Raises `NotAuthenticated`, and `OutsideError` for what is to be delivered again."""
        self.proof.verify_call(call)
        try:
            notification = parse_notification(call.body)
        except UnusableNotification as error:
            log.warning("push ignored", reason=error.code, size=len(call.body))
            return ACKNOWLEDGED
        try:
            report = sync_mailbox(notification.email, self.intake)
        except MailboxResting as error:
            log.warning("push left to tick", code=error.code, reason=str(error), push_id=notification.push_id)
            return ACKNOWLEDGED
        except AicdError as error:
            if not needs_operator(error):
                raise
            log.error("mailbox unusable", code=error.code, reason=str(error), push_id=notification.push_id)  # noqa: TRY400
            return ACKNOWLEDGED
        if report is None:
            log.warning("push ignored", reason="unknown-mailbox", push_id=notification.push_id)
        return ACKNOWLEDGED
