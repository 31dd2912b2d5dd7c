#!/bin/sh
# Install swc, then encode and decode a few seconds of speech.
#
#   sh examples/quickstart.sh
#
# Installs into the active virtual environment, or into .venv in the project's folder, which is created if
# necessary. The results are written to build/quickstart/.
set -eu
cd "$(dirname "$0")/.."

if [ -n "${VIRTUAL_ENV:-}" ]; then
    bin=$VIRTUAL_ENV/bin
else
    [ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
    bin=.venv/bin
fi
echo "Installing (downloading torch can take several minutes) ..."
"$bin/python" -m pip install --disable-pip-version-check .

mkdir -p build/quickstart
echo
echo "Encoding and decoding examples/speech.flac:"
"$bin/swc" encode examples/speech.flac build/quickstart/speech.swc --force
"$bin/swc" decode build/quickstart/speech.swc build/quickstart/speech.wav --force
echo
echo "Contents of the encoded file:"
"$bin/swc" info build/quickstart/speech.swc
echo
echo "The decoded audio is in build/quickstart/speech.wav. For your own files see: $bin/swc --help"
