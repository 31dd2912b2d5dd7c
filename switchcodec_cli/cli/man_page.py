"""The man page of `swc`, generated from the help of the commands.

python -m switchcodec_cli.cli.man_page > docs/swc.1
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from .. import __version__
from .application import EXIT_CODES, cli

_SUMMARY = "neural audio codec for speech, music and other sounds"
_CODE = re.compile(r"`([^`]*)`")


def man_page() -> str:
    """The man page, in the language of troff."""
    lines = [
        f'.TH SWC 1 "" "swc {__version__}" "User Commands"',
        ".SH NAME",
        _text(f"swc - {_SUMMARY}"),
        ".SH SYNOPSIS",
        *(line for name, command in _commands(cli) for line in _synopsis(name, command)),
        ".SH DESCRIPTION",
        *_paragraphs(cli),
        ".SH OPTIONS",
        *_options(cli),
    ]
    for name, command in _commands(cli):
        lines += [f".SH {_text(f'swc {name}').upper()}", *_synopsis(name, command)]
        lines += [*_paragraphs(command), *_options(command), *_examples(command)]
    lines += [".SH EXIT STATUS"]
    for code, meaning in EXIT_CODES:
        lines += [".TP", _bold(code), _text(meaning)]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """The commands of a group and those of groups in it, with their names."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        yield prefix + name, command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{prefix}{name} ")


def _synopsis(name: str, command: click.Command) -> Iterator[str]:
    parts = ["[OPTIONS]"] if any(isinstance(each, click.Option) for each in command.params) else []
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            parts.append(_metavar(parameter))
    if isinstance(command, click.Group):
        parts.append("[COMMAND]")
    yield ".PP"
    yield f"{_bold(f'swc {name}')} {_text(' '.join(parts))}".rstrip()


def _paragraphs(command: click.Command) -> Iterator[str]:
    for paragraph in (command.help or "").split("\n\n"):
        yield ".PP"
        yield _text(" ".join(paragraph.split()))


def _options(command: click.Command) -> Iterator[str]:
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            names = ", ".join(_bold(name) for name in (*option.opts, *option.secondary_opts))
            value = "" if option.is_flag else f" {_italic(_metavar(option))}"
            yield from (".TP", names + value, _text(" ".join((option.help or "").split()) + _default(option)))


def _metavar(parameter: click.Parameter) -> str:
    """What stands for the value of a parameter in the help."""
    if parameter.metavar is not None:
        return parameter.metavar
    if isinstance(parameter.type, click.Choice):
        return "{" + "|".join(map(str, parameter.type.choices)) + "}"
    return (parameter.name or "").upper()


def _default(option: click.Option) -> str:
    """The default of an option as a suffix of its help, if it is to be shown."""
    if not option.show_default:
        return ""
    shown = f"({option.show_default})" if isinstance(option.show_default, str) else option.default
    return f"  [default: {shown}]"


def _examples(command: click.Command) -> Iterator[str]:
    examples = getattr(command, "examples", ())
    if examples:
        yield ".SS Examples"
    for call, description in examples:
        yield from (".TP", _bold(call), _text(description))


def _text(text: str) -> str:
    """Text with the characters escaped that troff would interpret, and `code` in bold."""
    escaped = _escaped(text)
    marked = _CODE.sub(r"\\fB\1\\fR", escaped)
    return rf"\&{marked}" if marked.startswith((".", "'")) else marked


def _bold(text: str) -> str:
    return rf"\fB{_escaped(text)}\fR"


def _italic(text: str) -> str:
    return rf"\fI{_escaped(text)}\fR"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\e").replace("-", r"\-")


if __name__ == "__main__":
    click.echo(man_page(), nl=False)
