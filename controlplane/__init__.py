"""What is true for both halves: the nouns, the states, the errors, and the one client that speaks to Supabase."""
