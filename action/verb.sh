#!/usr/bin/env bash
# Runs one verb with the Python that setup.sh found or made. The working directory belongs to the repository, so it must
# never be a place that modules come from: -P keeps it off the path, and PYTHONPATH names only our own folder.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${AICD_PYTHON:-}"
if [ -z "$python" ]; then
  python="$(cat "${RUNNER_TEMP:-/tmp}/aicd-python")"
fi
unset PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE
export PYTHONPATH="$here" PYTHONSAFEPATH=1 PYTHONNOUSERSITE=1 PYTHONUTF8=1
export PYTHONPYCACHEPREFIX="${RUNNER_TEMP:-/tmp}/aicd-bytecode"
exec "$python" -P -m action "$1"
