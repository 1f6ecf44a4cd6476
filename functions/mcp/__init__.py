"""The control plane for people's own agents: MCP over streamable HTTP, read only, under the policies of who asks."""
