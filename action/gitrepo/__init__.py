"""Git as the action uses it: a bare repository that we alone write, beside the agent's own clone."""
