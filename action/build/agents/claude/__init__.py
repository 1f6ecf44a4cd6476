"""Claude Code as the builder: headless, in the sandbox, with a throw-away token; the key is held by a proxy of ours."""
