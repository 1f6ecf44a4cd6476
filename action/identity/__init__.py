"""Who this job is: GitHub's word for it, and the run's token that runner-token gives for that word."""

from __future__ import annotations

from action.identity.exchange import Exchange
from action.identity.runtoken import RunToken

__all__ = ["Exchange", "RunToken"]
