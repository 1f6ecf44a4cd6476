"""Whether an address is this machine itself: what is not may be reached by TLS only."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether this name is the machine itself, by its form: nothing is looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
