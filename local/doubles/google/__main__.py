"""Starts the Google double: `python -m local.doubles.google`.

Environment: AICD_GOOGLE_DOUBLE_PORT (0 takes a free port), AICD_GOOGLE_DOUBLE_STATE (folder that survives restarts),
AICD_GOOGLE_PUSH_ENDPOINT, AICD_GOOGLE_PUSH_AUDIENCE (default: the endpoint), AICD_GOOGLE_PUSH_SERVICE_ACCOUNT and
AICD_GOOGLE_PUSH_ACK_SECONDS (the subscription's ackDeadlineSeconds, default 30). One JSON line says when it listens.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from starlette.applications import Starlette

from local.doubles.google.app import build_google
from local.doubles.google.pubsub import PushConfig
from local.doubles.journal import FolderInUseError
from local.doubles.server import main


def _push_config() -> PushConfig:
    usual = PushConfig()
    return PushConfig(
        endpoint=os.environ.get("AICD_GOOGLE_PUSH_ENDPOINT", ""),
        audience=os.environ.get("AICD_GOOGLE_PUSH_AUDIENCE", ""),
        service_account=os.environ.get("AICD_GOOGLE_PUSH_SERVICE_ACCOUNT") or usual.service_account,
        ack_seconds=float(os.environ.get("AICD_GOOGLE_PUSH_ACK_SECONDS") or usual.ack_seconds),
    )


def _build(_: str) -> Starlette:
    folder = Path(os.environ.get("AICD_GOOGLE_DOUBLE_STATE") or ".aicd/google-double")
    try:
        return build_google(folder, _push_config()).app
    except FolderInUseError:
        sys.exit(f"{folder} belongs to a running Google double; stop it or set AICD_GOOGLE_DOUBLE_STATE.")
    except ValueError:
        sys.exit("AICD_GOOGLE_PUSH_ACK_SECONDS is not a number of seconds.")


if __name__ == "__main__":
    sys.exit(main("google", "AICD_GOOGLE_DOUBLE_PORT", os.environ.get("AICD_GOOGLE_DOUBLE_PORT", "0"), _build))
