#!/bin/sh
# Install the development tools, then run linters, type checker, spelling checker and all tests. Every step is
# run, and the exit code is 1 if any of them failed.
#
#   sh tests/run.sh [arguments for pytest]
#
# Uses the Python named by SWC_PYTHON, else the active virtual environment, else .venv in the project's folder,
# which is created if necessary.
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
# Its weights measure the similarity of voices; its requirements are outdated and not needed.
"$python" -m pip install --quiet --disable-pip-version-check --no-deps 'Resemblyzer==0.1.4' ||
    echo 'Resemblyzer cannot be installed: its test is skipped'

status=0
"$python" -m ruff check . || status=1
"$python" -m ruff format --check . || status=1
"$python" -m mypy || status=1
"$python" -m codespell_lib || status=1
# Coverage is reported for full runs. `sysmon` measures it almost for free, but needs Python 3.12.
if [ $# -eq 0 ]; then
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then
        export COVERAGE_CORE=sysmon
    fi
    set -- --cov
fi
"$python" -m pytest "$@" || status=1
exit $status
