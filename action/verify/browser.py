"""The machine's own Chromium, and how Playwright is made to find it whatever a project's settings say."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
NO_BROWSER = "there is no Chromium on this machine; install one (on Debian: the package chromium) or set CHROME_PATH"
# Where Playwright looks inside the folder of a revision: by version of Playwright, and by architecture.
PLACES = {
    "chromium-headless-shell": (
        "chromium_headless_shell",
        ("chrome-headless-shell-linux64/chrome-headless-shell", "chrome-linux/headless_shell"),
    ),
    "chromium": ("chromium", ("chrome-linux64/chrome", "chrome-linux/chrome")),
}


def find_chromium(environment: Mapping[str, str] | None = None) -> Path | None:
    """CHROME_PATH if it is set, else the first browser of a known name on PATH."""
    chosen = os.environ if environment is None else environment
    named = chosen.get("CHROME_PATH")
    if named:
        return Path(named) if os.access(named, os.X_OK) else None
    found = (shutil.which(name, path=chosen.get("PATH")) for name in NAMES)
    return next((Path(path) for path in found if path), None)


def link_browsers(listing: Path, chromium: Path, folder: Path) -> dict[str, str]:
    """Make a folder in which Playwright finds the machine's browser under its own revisions' names.

    `listing` is the browsers.json of the Playwright that will look. Returns what to add to its environment. A project
    that names an executable or a channel of its own is left to it.
    """
    for browser in json.loads(listing.read_text())["browsers"]:
        if browser["name"] not in PLACES:
            continue
        prefix, places = PLACES[browser["name"]]
        revision = folder / f"{prefix}-{browser['revision']}"
        for place in places:
            link = revision / place
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(chromium)
        (revision / "INSTALLATION_COMPLETE").touch()
    return {"PLAYWRIGHT_BROWSERS_PATH": str(folder), "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1"}
