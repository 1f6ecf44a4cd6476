"""Claude Code as the builder: headless, in the sandbox, with a throw-away token; the key is held by a proxy of ours."""

from action.build.agents.claude.agent import ClaudeAgent as ClaudeAgent
from action.build.agents.claude.agent import ClaudeSettings as ClaudeSettings
from action.build.agents.claude.key import ClaudeKey as ClaudeKey
