"""The outbox worked off: each row claimed, carried out under its own idempotency key, and marked."""
