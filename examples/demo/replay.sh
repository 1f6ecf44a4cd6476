#!/bin/sh
# The demo's agent: it replays a recorded change, one recording per attempt, and thinks about nothing.
# A real agent would read the task and the failing criteria; this one only shows where they are.
set -eu
here=$(dirname "$0")
attempt="$here/recording/${AICD_ITERATION:-1}"
echo "replaying recorded attempt ${AICD_ITERATION:-1}; the task is in ${AICD_TASK_FILE:-no file}"
if [ -n "${AICD_FEEDBACK_FILE:-}" ] && [ -s "$AICD_FEEDBACK_FILE" ]; then
  echo "the gate said:"
  cat "$AICD_FEEDBACK_FILE"
fi
cp -R "$attempt/." .
