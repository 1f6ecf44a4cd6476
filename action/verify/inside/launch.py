"""The first program in a sandbox: takes away what it can from itself, then becomes the program it was asked for.

Run as `python -I -S launch.py LIMITS COMMAND…` with LIMITS a JSON object of resource names and numbers, plus
`network: false` to leave the network behind. Doing this in a fresh process, and not between fork and exec, is what
makes it safe in a program with threads.
"""

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import sys

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def raise_loopback() -> None:
    """Switch `lo` on in the new, empty network, so that tests may still talk to themselves."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14x", b"lo", IFF_UP)
        fcntl.ioctl(handle, SIOCSIFFLAGS, request)


def main() -> None:
    limits = json.loads(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    if limits.pop("network", True) is False:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            sys.exit("launch: this machine does not let us take the network away")
        raise_loopback()
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for name, value in limits.items():
        kind = getattr(resource, "RLIMIT_" + name)
        hard = resource.getrlimit(kind)[1]
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bounded, bounded))
    command = sys.argv[2:]
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming the program is the purpose, and no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        os._exit(127)


main()
