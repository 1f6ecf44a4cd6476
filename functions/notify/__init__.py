"""Outbox → mail: people are told."""
