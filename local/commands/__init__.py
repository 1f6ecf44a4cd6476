"""The `aicd` verbs, one file each; `local/cli.py` is their table."""
