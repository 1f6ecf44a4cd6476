"""Our own MCP server, `aicd-controlplane`: how the agent asks us things and tests itself before it claims to be done.

The server that the agent's program starts (`child.py`) is a thin process without secrets. It hands each call on, over
loopback with a throw-away token, to `ToolHost` in our process, which asks a `ToolDesk`.
"""
