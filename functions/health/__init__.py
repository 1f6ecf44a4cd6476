"""Is it there, and can it work."""
