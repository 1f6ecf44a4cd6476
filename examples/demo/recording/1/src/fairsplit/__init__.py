"""Splits an amount of money so that no cent is lost."""

from fairsplit.even import split_evenly
from fairsplit.weighted import split_by_weights

__all__ = ["split_by_weights", "split_evenly"]
