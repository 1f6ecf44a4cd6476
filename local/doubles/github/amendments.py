"""Where GitHub is wider than its published schema, and the double follows GitHub.

Each amendment names what it rests on. They are applied when the subset is loaded, so the committed subset
stays GitHub's own text.
"""

from __future__ import annotations

from typing import Any

LABELS = "/repos/{owner}/{repo}/issues/{issue_number}/labels"


def amend(document: dict[str, Any]) -> dict[str, Any]:
    """The subset with our amendments; the document is changed in place and returned."""
    for method in ("post", "put"):
        # "You can also pass an `array` of labels directly": https://docs.github.com/rest/issues/labels
        body = document["paths"][LABELS][method]["requestBody"]
        names = {"type": "array", "items": {"type": "string"}}
        body["schema"] = {"anyOf": [body["schema"], names]}
    return document
