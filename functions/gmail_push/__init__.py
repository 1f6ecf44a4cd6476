"""Gmail's push: a mailbox has news."""
