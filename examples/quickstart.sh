#!/bin/sh
# Set swc up on a fresh machine, and show it at work on a few seconds of speech.
#
#   sh examples/quickstart.sh
#
# Makes .venv in the project's folder, installs swc there (or into the active virtual environment), and
# writes what it encodes and decodes to build/quickstart/.
set -eu
cd "$(dirname "$0")/.."

if [ -n "${VIRTUAL_ENV:-}" ]; then
    bin=$VIRTUAL_ENV/bin
else
    [ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
    bin=.venv/bin
fi
echo "Installing (the first time, torch alone takes some minutes) ..."
"$bin/python" -m pip install --quiet --disable-pip-version-check .

mkdir -p build/quickstart
echo
echo "Encoding and decoding examples/speech.flac:"
"$bin/swc" encode examples/speech.flac build/quickstart/speech.swc --force
"$bin/swc" decode build/quickstart/speech.swc build/quickstart/speech.wav --force
echo
echo "Where the bits went:"
"$bin/swc" info build/quickstart/speech.swc
echo
echo "Now listen to build/quickstart/speech.wav, and try your own: $bin/swc --help"
