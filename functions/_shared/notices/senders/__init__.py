"""The ways by which a written mail goes out."""
