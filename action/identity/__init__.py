"""Who this job is: GitHub's word for it, and the tokens that runner-token and the Claude API give for that word."""

from __future__ import annotations

from action.identity.exchange import Exchange
from action.identity.runtoken import RunToken

__all__ = ["Exchange", "RunToken"]
