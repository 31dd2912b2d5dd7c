#!/bin/sh
# Run a quick part of the tests with the oldest supported version of every dependency.
#
#   sh tests/run_oldest.sh [python]
#
# torch is the exception: its old releases are downloads of several gigabytes on Linux, so it is taken from
# the environment of the given Python (default: .venv/bin/python), which must have all dependencies.
set -eu
cd "$(dirname "$0")/.."

python=${1:-.venv/bin/python}
environment=$(mktemp -d)
trap 'rm -rf "$environment"' EXIT

"$python" -m venv "$environment"
# The packages of the given Python come after those of the new environment.
"$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
    > "$("$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/current.pth"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --requirement tests/oldest.txt

OMP_NUM_THREADS=1 PYTHONPATH=$PWD PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 "$environment/bin/python" -m pytest \
    tests/audio tests/bitstream tests/golden tests/cli/test_*round_trip*.py
