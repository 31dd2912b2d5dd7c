#!/bin/sh
# Install what the tests need, then run the linter and all tests; fails if anything does.
#
#   sh tests/run.sh [arguments for pytest]
#
# Runs in the Python named by SWC_PYTHON, else in the active virtual environment, else in .venv of the
# project's folder, which is made if it is not there.
set -eu
cd "$(dirname "$0")/.."

if [ -n "${SWC_PYTHON:-}" ]; then
    python=$SWC_PYTHON
elif [ -n "${VIRTUAL_ENV:-}" ]; then
    python=$VIRTUAL_ENV/bin/python
else
    [ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
    python=.venv/bin/python
fi
"$python" -m pip install --quiet --disable-pip-version-check -e '.[dev]'

status=0
"$python" -m ruff check . || status=1
"$python" -m pytest "$@" || status=1
exit $status
