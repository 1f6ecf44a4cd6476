"""A door for other systems: specifications, signed with a secret of their own."""
