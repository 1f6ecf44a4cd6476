"""The embedded stack: database, gateway, functions and doubles as child processes of one supervisor."""
