"""The two callers that dispatch, notify and tick listen to: the scheduler's account, or our database."""

from __future__ import annotations

import time
from dataclasses import dataclass

from controlplane.secret import Secret
from functions._shared.callers.oidc import OidcProof
from functions._shared.callers.webhook import SIGNATURE_HEADER, TIMESTAMP_HEADER, verify_webhook
from functions._shared.endpoint import Call


@dataclass(frozen=True)
class CallerProof:
    """Checks a call before anything of it is parsed."""

    oidc: OidcProof
    outbox_secret: Secret

    def verify(self, call: Call) -> None:
        """Raise `NotAuthenticated` unless one of the two proofs holds. A wrong signature is not healed by a token."""
        signature = call.header(SIGNATURE_HEADER)
        if signature:
            verify_webhook(self.outbox_secret, call.header(TIMESTAMP_HEADER), signature, call.body, time.time())
        else:
            self.oidc.verify_call(call)
