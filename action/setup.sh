#!/usr/bin/env bash
# Makes the Python environment that the verbs run in: once per machine and version of requirements/runner.txt, kept in
# the runner's tool cache. AICD_PYTHON names a ready one instead.
set -euo pipefail

fail() {
  echo "::error title=aicd set-up::$1"
  exit "${2:-1}"
}

case "${AICD_MODE:-deliver}" in
  deliver | plan | build | verify | gate | publish) ;;
  *) fail "input 'mode' must be deliver, plan, build, verify, gate or publish." 2 ;;
esac

here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if [ -n "${AICD_PYTHON:-}" ]; then
  "$AICD_PYTHON" -I -c 'import pydantic' || fail "AICD_PYTHON ($AICD_PYTHON) lacks our packages: install requirements/runner.txt there, or unset it."
  exit 0
fi

enough='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
python=''
for name in python3.14 python3.13 python3.12 python3.11 python3 python; do
  found="$(command -v "$name" || true)"
  if [ -n "$found" ] && "$found" -I -c "$enough" 2>/dev/null; then
    python="$found"
    break
  fi
done
[ -n "$python" ] || fail 'There is no Python 3.11 or newer with venv on this runner. Add a step with actions/setup-python before, or install one.'

locks=("$here/requirements/runner.txt")
if [ "${AICD_WITH_CLAUDE:-false}" = true ]; then
  case "${AICD_MODE:-deliver}" in
    deliver | plan | build) locks+=("$here/requirements/agent.txt") ;;
  esac
fi
key="$("$python" -I -c '
import hashlib, pathlib, platform, sys
locks = b"".join(pathlib.Path(name).read_bytes() for name in sys.argv[1:])
print(hashlib.sha256(locks + sys.version.encode() + platform.machine().encode() + sys.executable.encode()).hexdigest()[:20])
' "${locks[@]}")"
cache="${RUNNER_TOOL_CACHE:-${RUNNER_TEMP:-/tmp}}/aicd"
environment="$cache/$key"
if [ ! -x "$environment/ready" ]; then
  echo "Installing the action's packages (once for this version)"
  mkdir -p "$cache"
  exec 9>"$cache/$key.lock"
  if command -v flock >/dev/null; then flock 9; fi
  if [ ! -x "$environment/ready" ]; then
    rm -rf "$environment"
    "$python" -I -m venv "$environment"
    "$environment/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --only-binary :all: "${locks[@]/#/-r}" ||
      fail 'The packages of requirements/ could not be installed; is the package index reachable from this runner?' 4
    printf '#!/bin/sh\n' >"$environment/ready"
    chmod +x "$environment/ready"
  fi
fi
echo "$environment/bin/python" >"${RUNNER_TEMP:-/tmp}/aicd-python"
