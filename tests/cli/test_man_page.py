"""The man page: current, complete, and readable by man."""

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from switchcodec_cli.cli import cli
from switchcodec_cli.cli.application import EXIT_CODES
from switchcodec_cli.cli.man_page import man_page

ROOT = Path(__file__).parents[2]


def test_stored_page_is_that_of_the_current_help():
    command = "python -m switchcodec_cli.cli.man_page > docs/swc.1"
    assert (ROOT / "docs" / "swc.1").read_text("utf-8") == man_page(), f"out of date, run {command}"


def test_page_describes_every_command_option_and_exit_code():
    page = man_page().replace("\\-", "-")
    for name, command in cli.commands.items():
        section = page.split(f"\n.SH SWC {name.upper()}\n")[1].split("\n.SH ")[0]
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert all(f"\\fB{spelling}\\fR" in section for spelling in option.opts), (name, option.name)
        for example, _ in getattr(command, "examples", ()):
            assert f"\\fB{example}\\fR" in section
    for code, meaning in EXIT_CODES:
        assert f"\\fB{code}\\fR\n{meaning}\n" in page


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_page_is_valid_troff():
    result = subprocess.run(
        ["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z"], input=man_page().encode(), capture_output=True
    )
    assert (result.returncode, result.stderr) == (0, b"")


def test_page_is_installed_with_the_package():
    text = (ROOT / "pyproject.toml").read_text()
    assert re.search(r'shared-data\]\n"docs/swc\.1" = "share/man/man1/swc\.1"', text)
