"""The specification that every answer to a broken one shows: short, complete, and accepted as it stands."""

from __future__ import annotations

EXAMPLE = """\
meta:
  project: greeting
  repo: your-organisation/your-repository
planning:
  epics:
    - id: E1
      sprints:
        - id: S1
          goals:
            - People can be greeted by name.
          user_stories:
            - id: US1
              as: visitor
              want: to be greeted by my name
              so_that: I feel welcome
              acceptance:
                - greet("Ada") returns "Hello, Ada!"
          dod:
            unit_pass: true
            coverage_min: 0.8
"""
