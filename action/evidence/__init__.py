"""Reading reports: files that other programs wrote become evidence, or are named as evidence of nothing.

One sibling per format, one table (`formats.py`) that recognises them by content. Headers are never believed: every
figure is recounted from cases and lines.
"""

from action.evidence.reports import read_reports

__all__ = ["read_reports"]
