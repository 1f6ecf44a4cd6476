"""What GitHub tells of pull requests and deployments."""
