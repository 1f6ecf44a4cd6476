"""A Postgres server for this machine, made of nothing but binaries, with the parts of a Supabase database in it.

Entry points: `database.start_database`, `bootstrap.bootstrap`, `copies.create_copy` and `python -m local.postgres`.
"""
