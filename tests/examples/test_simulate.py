"""The simulation of docs/scale.md: the document shows what it prints."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"```\n\$ python (examples/cluster/simulate\.py)(.*)\n([^`]*)```",
    (ROOT / "docs" / "scale.md").read_text(),
)


def simulate(*options):
    command = [sys.executable, str(ROOT / "examples" / "cluster" / "simulate.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("script", "options", "printed"), BLOCKS)
def test_document_shows_what_the_simulation_prints(script, options, printed):
    assert simulate(*options.split()) == printed


def test_document_has_simulations():
    assert len(BLOCKS) == 2


def test_more_workers_are_faster_but_less_efficient():
    lines = simulate("--hours", "1000", "--seconds", "30", "--effort", "2").splitlines()[2:8]
    rows = [line.split() for line in lines]
    queues = [row for row in rows if row[1] == "queue"]
    hours, efficiency = ([float(row[column].replace(",", "")) for row in queues] for column in (2, 3))
    assert hours == sorted(hours, reverse=True) and efficiency == sorted(efficiency, reverse=True)
    assert 1 > efficiency[0] > 0.9
