"""How `swc encode` codes: its options in one place, and what they mean to the codec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from .failures import check_usage
from .options import channels_option

if TYPE_CHECKING:
    from ..bitstream import Header
    from ..codec import Codec
    from ..stream_encoder import StreamEncoder


@dataclass(frozen=True)
class EncodeSettings:
    """What was asked for; the fields have the names of the options of `encode_options`."""

    kbps: float | None = None
    experts: int | None = None
    channels: str = "auto"
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def take(cls, options: dict[str, Any]) -> EncodeSettings:
        """Take the settings out of a command's options. Raises UsageError where they contradict."""
        options["tags"] = parse_tags(options.pop("tag"))
        settings = cls(**{entry.name: options.pop(entry.name) for entry in fields(cls)})
        both = settings.kbps is not None and settings.experts is not None
        check_usage(not both, "--kbps and --experts both set the rate: give one of them")
        return settings

    def check(self, codec: Codec) -> None:
        """Raises UsageError where no input at all could be coded this way."""
        codec.total_experts(1, self.kbps, self.experts)

    def encoder(
        self,
        codec: Codec,
        file: BinaryIO,
        sample_rate: int,
        channels: int,
        dual_mono: bool,
        total_samples: int | None,
    ) -> StreamEncoder:
        """The encoder for one input of `channels` channels, 1 or 2."""
        return codec.encoder(
            file,
            sample_rate,
            channels,
            kbps=self.kbps,
            experts=self.experts,
            dual_mono=dual_mono,
            total_samples=total_samples,
            tags=self.tags,
        )

    def made(self, header: Header, codec: Codec) -> bool:
        """Whether a stream with this header is what these settings would give."""
        from ..bitstream import RateMode

        total = codec.total_experts(header.signals, self.kbps, self.experts)
        return (
            (header.fingerprint, header.parameters) == (codec.fingerprint, codec.parameters)
            and (header.rate_mode, header.experts_total) == (RateMode.CONSTANT, total)
            and dict(header.tags) == self.tags
        )


def parse_tags(entries: tuple[str, ...]) -> dict[str, str]:
    """`K=V` entries as a mapping. Raises UsageError."""
    if not entries:
        return {}
    from ..bitstream.header import encode_tags

    tags: dict[str, str] = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        check_usage(equals, f"--tag {entry!r}: write it as KEY=VALUE")
        check_usage(key not in tags, f"--tag {key!r} is given twice")
        tags[key] = value
    encode_tags(tuple(tags.items()))
    return tags


_OPTIONS = (
    click.option(
        "--kbps",
        type=float,
        metavar="X",
        help="The highest rate, over all channels: the best that fits below it is taken.  [default: 2.67]",
    ),
    click.option(
        "--experts",
        type=int,
        metavar="K",
        help="Instead of a rate: how many experts code each channel (0 is the least).",
    ),
    channels_option,
    click.option(
        "--tag", multiple=True, metavar="KEY=VALUE", help="Store a note in the file; may be repeated."
    ),
)


def encode_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """All options that say how to code, for `EncodeSettings.take`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
