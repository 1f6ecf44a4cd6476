"""The API for specifications."""
