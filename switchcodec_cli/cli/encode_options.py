"""Options of `swc encode` that control the encoder."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import UsageError
from .options import channels_option, effort_option, preserve_time_option

if TYPE_CHECKING:
    from ..batch.encode_job import EncodeRequest

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--kbps",
        type=float,
        metavar="X",
        help="Rate of the whole file over all channels; it is at most X, and bits are allocated where they "
        "improve quality most. At effort 2 and 3 files are read twice; pipes are encoded with a look-ahead "
        "of half a minute.  [default: 2.67]",
    ),
    click.option(
        "--experts",
        type=int,
        metavar="K",
        help="Constant number of experts per channel; the rate varies with the content.",
    ),
    click.option(
        "--cbr",
        is_flag=True,
        help="Constant bit rate with --kbps or --experts: windows of one size, with plain indices.",
    ),
    click.option(
        "--abr",
        type=float,
        metavar="X",
        help="The same as --kbps without --cbr, also with weights that have no index model.",
    ),
    click.option(
        "--vbr",
        type=float,
        metavar="Q",
        help="Constant quality from 0 to 10; the rate varies with the content.",
    ),
    click.option(
        "--max-kbps",
        type=float,
        metavar="X",
        help="Maximum rate of each window of one second, with --kbps or --vbr.",
    ),
    effort_option,
    channels_option,
    click.option(
        "--raw",
        metavar="RATE[,CHANNELS[,CODING]]",
        help="Inputs are samples without a header, such as 48000,2,PCM_24; in folders, files ending in .raw "
        "or .pcm.  [default: 1 channel of PCM_16]",
    ),
    click.option(
        "--tag",
        multiple=True,
        metavar="KEY=VALUE",
        help="Tag to store in the file, instead of tags of this key in the input; can be repeated.",
    ),
    click.option("--no-tags", is_flag=True, help="Do not store the tags of the input."),
    preserve_time_option,
)


def encode_options(function: Function) -> Function:
    """Add the options that `encode_request` takes to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def encode_request(
    *,
    kbps: float | None,
    experts: int | None,
    cbr: bool,
    abr: float | None,
    vbr: float | None,
    max_kbps: float | None,
    effort: int,
    channels: str,
    raw: str | None,
    tag: Sequence[str],
    no_tags: bool,
    preserve_time: bool,
) -> EncodeRequest:
    """Convert the values of the options to encoder settings. Raises UsageError."""
    from ..audio.formats import parse_raw_format
    from ..batch.encode_job import EncodeRequest
    from ..encoder.settings import EncoderSettings

    rates = {"--kbps": kbps, "--experts": experts, "--abr": abr, "--vbr": vbr}
    given = [name for name, value in rates.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{', '.join(given)} are mutually exclusive: give one of them")
    if max_kbps is not None and (cbr or experts is not None):
        raise UsageError("--max-kbps goes with --kbps without --cbr, or with --vbr")
    if cbr and (abr is not None or vbr is not None):
        raise UsageError("--cbr goes with --kbps or --experts")
    settings = EncoderSettings(kbps, experts, abr, vbr, max_kbps, effort, cbr)
    samples = None if raw is None else parse_raw_format(raw)
    return EncodeRequest(
        settings,
        channels,
        parse_tags(tag),
        raw=samples,
        copy_tags=not no_tags,
        preserve_time=preserve_time,
    )


ENCODE_OPTION_NAMES = frozenset(inspect.signature(encode_request).parameters)
"""Names of the parameters of these options."""


def parse_tags(entries: Sequence[str]) -> list[tuple[str, str]]:
    """Parse tags of the form KEY=VALUE; keys may repeat. Raises UsageError."""
    from ..bitstream import check_tags

    tags = []
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals:
            raise UsageError(f"--tag {entry!r}: must have the form KEY=VALUE")
        tags.append((key, value))
    check_tags(tags)  # checks keys and sizes
    return tags
