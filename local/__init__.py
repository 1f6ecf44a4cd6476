"""Your own machine: the `aicd` command and the embedded stack. Nobody imports this room."""
