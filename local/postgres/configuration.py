"""The server settings of a development database, for Postgres 15 to 18."""

from __future__ import annotations

from pathlib import Path


def server_settings(*, major: int, socket_dir: Path, port: int, ephemeral: bool) -> dict[str, str]:
    """Command line settings, so that nothing depends on a configuration file left behind by an earlier version.

    An ephemeral cluster survives the death of its processes (what was committed is in the kernel's cache), but not a
    power failure. Any other cluster is as durable as Postgres can make it.
    """
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(socket_dir),
        "unix_socket_permissions": "0700",
        "password_encryption": "scram-sha-256",
        "max_connections": "100",
        "shared_buffers": "64MB",
        "max_wal_size": "256MB",
        "min_wal_size": "16MB",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_logical_replication_workers": "0",
        # Parallel plans need /dev/shm, which containers keep small, and gain nothing on tables of this size.
        "max_parallel_workers_per_gather": "0",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_messages": "warning",
        "log_line_prefix": "%m [%p] %q%u@%d ",
    }
    if ephemeral:
        settings |= {"fsync": "off", "full_page_writes": "off"}
    if major >= 16:
        # Passwords here are long and random, so stretching them only makes each connection slower.
        settings["scram_iterations"] = "256"
    if major >= 18:
        # Workers for asynchronous reads would be three more processes for a database that fits in memory.
        settings["io_method"] = "sync"
    return settings
