"""A server on 127.0.0.1 for the agent's processes: whoever floods it costs a bounded number of threads."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer
from typing import Any, ClassVar


class BoundedServer(ThreadingHTTPServer):
    """Serves at most `most_at_once` connections; the next ones are closed unanswered."""

    most_at_once: ClassVar[int] = 16
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(self.most_at_once)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is the caller's matter."""
