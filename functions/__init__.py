"""The serverless half: one folder per function, a thin handler beside its pure sibling."""
