"""A gateway with the part of Supabase's HTTP surface that this project uses, in front of any Postgres.

For development, tests and the demo; never for production. What it does not serve it answers with 501, by name.
"""
