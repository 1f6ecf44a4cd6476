"""What an answer shows as an example that works: a specification, or a letter where a letter was sent."""

from __future__ import annotations

import re

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

EXAMPLE_LETTER = """\
repository: {repository}

Hello,

visitors should be greeted by their name: for "Ada" the page says "Hello, Ada!",
and without a name it says "Hello!".
"""


def example_specification(problem: str) -> str:
    """A specification for the repository that a problem's text names in quotes, as 'repo: OWNER/NAME'."""
    named = re.search(r"'repo: ([A-Za-z0-9-]+/[A-Za-z0-9._-]+)'", problem)
    return EXAMPLE.replace("your-organisation/your-repository", named[1]) if named else EXAMPLE


def example_letter(repositories: str) -> str:
    """A letter for the repository that a problem's text names in quotes, as 'repository: OWNER/NAME'; else nothing."""
    named = re.search(r"'repository: ([A-Za-z0-9-]+/[A-Za-z0-9._-]+)'", repositories)
    return EXAMPLE_LETTER.format(repository=named[1]) if named else ""
