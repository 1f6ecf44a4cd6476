"""`python -m local.postgres --data DIR`: a database with our migrations, until SIGTERM or Ctrl-C.

Prints DB_URL as `supabase status -o env` would. Reads PG_BIN.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from controlplane.errors import AicdError
from local.postgres.bootstrap import bootstrap
from local.postgres.database import start_database


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.postgres", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data directory, made when absent")
    parser.add_argument("--port", type=int, help="TCP port on 127.0.0.1; default: any free one")
    parser.add_argument("--migrations", type=Path, default=Path("supabase/migrations"))
    parser.add_argument("--ephemeral", action="store_true", help="delete the data at the end")
    chosen = parser.parse_args(arguments)
    # Blocked before the server exists, so that no signal is lost between its start and our waiting.
    endings = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, endings)
    pg_bin = os.environ.get("PG_BIN")
    try:
        with start_database(
            chosen.data, ephemeral=chosen.ephemeral, pg_bin=Path(pg_bin) if pg_bin else None, port=chosen.port
        ) as database:
            bootstrap(database, chosen.migrations)
            print(f'DB_URL="{database.owner_url}"', flush=True)
            signal.sigwait(endings)
    except AicdError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
