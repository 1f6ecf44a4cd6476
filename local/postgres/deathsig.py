"""The server dies with us: Linux sends it a signal when the thread that started it is gone."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def die_with_parent() -> Callable[[], None] | None:
    """A `preexec_fn` for Popen, or None where it cannot or must not be used.

    SIGQUIT is Postgres' immediate shutdown: the postmaster takes its children along, the next start recovers from
    the log. The kernel clears the setting when the child changes its user, so this has to run after that, and Popen
    does run it last. The signal follows the *thread*: a server started from a worker thread would be shot when that
    thread ends, so there the setting is left out, and the next start on the directory finds and ends the orphan.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    # Loaded before the fork: a dynamic load between fork and exec could deadlock.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel
