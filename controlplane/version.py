"""Which release of this program runs here."""

from __future__ import annotations

from importlib import metadata


def installed_version() -> str:
    """The package's version; `unreleased` where the code lies there without having been installed."""
    try:
        return metadata.version("aicd")
    except metadata.PackageNotFoundError:
        return "unreleased"
