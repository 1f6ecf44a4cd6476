"""Doubles of the outside world for one machine: Google (identity, Gmail, Pub/Sub push) and GitHub (REST, git, Actions).

A double keeps real state and checks every request and every answer of its own against the schema which the provider
publishes. A mismatch is answered in the provider's error shape and recorded; `GET /_double/problems` lists the records,
and whoever uses a double asserts that the list is empty. Control endpoints live under `/_double/` only.
"""
