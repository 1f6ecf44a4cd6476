"""What an issuer publishes about itself, fetched within bounds: its keys, or where they are."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from controlplane.tls import authorities_for

TIMEOUT_SECONDS = 5.0
LIMIT_BYTES = 262_144


def fetch_object(url: str, unusable: Callable[[str], Exception]) -> dict[str, Any]:
    """The JSON object at an address, within five seconds from first to last byte. Redirects are not followed.

    Raises what `unusable` makes of the reason.
    """
    import httpx

    deadline = time.monotonic() + TIMEOUT_SECONDS
    content = bytearray()
    try:
        with (
            httpx.Client(verify=authorities_for(url), timeout=TIMEOUT_SECONDS) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise unusable(f"it answered {response.status_code}")
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > LIMIT_BYTES or time.monotonic() > deadline:
                    raise unusable("its answer is too long or too slow")
        document = json.loads(content)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unusable(type(error).__name__) from error
    except (ValueError, RecursionError) as error:
        raise unusable("its answer is not JSON") from error
    if not isinstance(document, dict):
        raise unusable("its answer is not a JSON object")
    return document
