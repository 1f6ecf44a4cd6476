"""What several functions need; no function folder imports another."""
