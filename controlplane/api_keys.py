"""API keys as callers present them: `aicd_<prefix>_<secret>`. The database knows only their hashes."""

from __future__ import annotations

import hashlib
import re

KEY = re.compile(r"aicd_[0-9a-f]{8}_[0-9a-f]{64}")


def hash_api_key(unverified_key: str) -> str | None:
    """What check_api_key_v1 is asked with: SHA-256 in hex; None for what cannot be a key of ours.

    The secret is 256 bits of chance, so that a slow hash would add nothing.
    """
    if not KEY.fullmatch(unverified_key):
        return None
    return hashlib.sha256(unverified_key.encode()).hexdigest()
