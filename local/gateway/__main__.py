"""`python -m local.gateway`: serve until SIGTERM. Everything it needs comes from AICD_GATEWAY_* (see settings.py).

Prints one line of JSON on stdout when it listens: `{"event": "ready", "url": …, "port": …, "pid": …}`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from socket import socket

import uvicorn

from controlplane.errors import AicdError
from local.gateway.app import Gateway
from local.gateway.settings import GatewaySettings, read_settings


class AnnouncingServer(uvicorn.Server):
    """Says when it listens, so that nobody has to guess or to wait longer than needed."""

    def __init__(self, config: uvicorn.Config, settings: GatewaySettings) -> None:
        super().__init__(config)
        self._settings = settings

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            settings = self._settings
            line = {"event": "ready", "url": settings.public_url, "port": settings.port, "pid": os.getpid()}
            print(json.dumps(line), flush=True)


def main() -> int:
    try:
        settings = read_settings(os.environ)
    except AicdError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    config = uvicorn.Config(
        Gateway(settings).application(),
        host="127.0.0.1",
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=1,
    )
    server = AnnouncingServer(config, settings)
    # uvicorn stops on these, then raises them once more for the handler before: to be told to stop is no fault.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()
    return 0 if server.started else 4


if __name__ == "__main__":
    sys.exit(main())
