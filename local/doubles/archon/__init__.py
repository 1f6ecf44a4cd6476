"""Archon V1's knowledge and task server as far as an agent meets it: 16 MCP tools, REST health, and its known bug."""
