"""Runs the double inside a test's own process, so that a script may be a function."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from local.doubles.anthropic.app import AnthropicDouble
from local.doubles.server import bind

LONGEST_START_SECONDS = 20.0


@contextmanager
def serving(double: AnthropicDouble, port: int = 0) -> Iterator[str]:
    """The double's address while the block runs; port 0 takes a free one."""
    listener = bind(port)
    config = uvicorn.Config(double.app, log_level="warning", access_log=False, lifespan="off", ws="none")
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="anthropic-double", daemon=True)
    thread.start()
    deadline = time.monotonic() + LONGEST_START_SECONDS
    while not server.started and time.monotonic() < deadline and thread.is_alive():
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(5)
        listener.close()
