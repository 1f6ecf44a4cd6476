"""The control plane for people's own agents: MCP over streamable HTTP, under the policies of who asks."""
