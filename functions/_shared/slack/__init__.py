"""What happens to a specification, told in a Slack-compatible channel."""
