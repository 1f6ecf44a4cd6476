"""Outbox → GitHub: runs are started, and those of cancelled specifications stopped."""
