"""Says which lines of source files are statements, and which of those ran. Runs no code of the repository's.

stdin: `{"exclude": [regex…], "files": {path: {"text": source, "executed": [line…]}}}`; to the channel:
`{path: {"covered": […], "missing": […], "excluded": […]} or {"error": text}}`. Lines are first lines of statements.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from coverage.parser import PythonParser


def main() -> None:
    order = json.load(sys.stdin)
    exclude = "|".join(f"(?:{pattern})" for pattern in order["exclude"])
    answer = {path: analyse(file, exclude) for path, file in order["files"].items()}
    with os.fdopen(int(sys.argv[-1]), "w") as channel:
        json.dump(answer, channel)


def analyse(file: dict[str, Any], exclude: str) -> dict[str, Any]:
    try:
        parser = PythonParser(text=file["text"], filename="<source>", exclude=exclude)
        parser.parse_source()
        ran = parser.translate_lines(file["executed"]) & parser.statements
    except Exception as error:  # noqa: BLE001 - whatever a parser makes of hostile source is an answer, not a crash
        return {"error": f"{type(error).__name__}: {str(error)[:200]}"}
    return {
        "covered": sorted(ran),
        "missing": sorted(parser.statements - ran),
        "excluded": sorted(parser.excluded),
    }


main()
