"""Outbox → GitHub: runs are started."""
