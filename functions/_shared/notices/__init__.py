"""The mails we write: what they say, how they look, and where they may go."""
