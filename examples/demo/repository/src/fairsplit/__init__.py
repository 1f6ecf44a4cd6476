"""Splits an amount of money so that no cent is lost."""

from fairsplit.even import split_evenly

__all__ = ["split_evenly"]
