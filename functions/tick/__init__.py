"""Each minute: whatever was lost on the way is found again."""
