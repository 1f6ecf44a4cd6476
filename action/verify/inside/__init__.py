"""What runs inside the sandbox: standard library and test tools only, nothing of ours is importable there."""
