"""Other MCP servers for the agent: read from the maintainer's configuration, asked whether they live, told on.

`load_mcp_config` → `probe` → `check_required` → `write_cli_config`; after the run `states_after`.
"""

from action.build.mcpconfig.load import load_mcp_config as load_mcp_config
from action.build.mcpconfig.probe import check_required as check_required
from action.build.mcpconfig.probe import probe as probe
from action.build.mcpconfig.render import allowed_tools as allowed_tools
from action.build.mcpconfig.render import render_cli_config as render_cli_config
from action.build.mcpconfig.servers import McpConfig as McpConfig
from action.build.mcpconfig.servers import McpServer as McpServer
from action.build.mcpconfig.states import ServerState as ServerState
from action.build.mcpconfig.states import states_after as states_after
