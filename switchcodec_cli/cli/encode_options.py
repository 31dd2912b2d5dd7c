"""How `swc encode` codes: its options in one place, and what they mean to the codec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from .errors import check_usage
from .options import channels_option, effort_option

if TYPE_CHECKING:
    from ..api import Codec
    from ..bitstream import Header
    from ..encoder import EncoderSettings, RateAllocation
    from ..encoder.stream import FirstPass, StreamEncoder


@dataclass(frozen=True)
class EncodeOptions:
    """What was asked for; the fields have the names of the options of `encode_options`."""

    kbps: float | None = None
    experts: int | None = None
    abr: float | None = None
    vbr: float | None = None
    max_kbps: float | None = None
    effort: int = 2
    channels: str = "auto"
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def take(cls, options: dict[str, Any]) -> EncodeOptions:
        """Take the settings out of a command's options. Raises UsageError where they contradict."""
        options["tags"] = parse_tags(options.pop("tag"))
        settings = cls(**{entry.name: options.pop(entry.name) for entry in fields(cls)})
        rates = ("kbps", "experts", "abr", "vbr")
        given = [f"--{name}" for name in rates if getattr(settings, name) is not None]
        several = (
            f"{' and '.join(given)} {'both' if len(given) == 2 else 'all'} set the rate: give one of them"
        )
        check_usage(len(given) <= 1, several)
        varies = settings.abr is not None or settings.vbr is not None
        check_usage(
            settings.max_kbps is None or varies,
            "--max-kbps goes with --abr or --vbr; --kbps is a ceiling itself",
        )
        return settings

    @property
    def of_codec(self) -> EncoderSettings:
        """As the codec takes them. Raises UsageError."""
        from ..encoder import EncoderSettings

        return EncoderSettings(self.kbps, self.experts, self.abr, self.vbr, self.max_kbps, self.effort)

    def check(self, codec: Codec) -> None:
        """Raises UsageError where no input at all could be coded this way."""
        self.of_codec.check(codec.parameters, 1)

    def planner(self, codec: Codec, sample_rate: int, channels: int, dual_mono: bool) -> FirstPass | None:
        """What makes the plan for an average rate in a first pass over a file; None for other rates."""
        if self.abr is None:
            return None
        settings = self.of_codec
        return codec.planner(sample_rate, channels, settings=settings, dual_mono=dual_mono, tags=self.tags)

    def encoder(
        self,
        codec: Codec,
        file: BinaryIO,
        sample_rate: int,
        channels: int,
        dual_mono: bool,
        total_samples: int | None,
        plan: RateAllocation | None = None,
    ) -> StreamEncoder:
        """The encoder for one input of `channels` channels, 1 or 2."""
        return codec.encoder(
            file,
            sample_rate,
            channels,
            settings=self.of_codec,
            dual_mono=dual_mono,
            total_samples=total_samples,
            tags=self.tags,
            plan=plan,
        )

    def made(self, header: Header, codec: Codec) -> bool:
        """Whether a stream with this header is what these settings would give."""
        settings = self.of_codec
        total = settings.total_experts(codec.parameters, header.signals)
        rate = header.nominal_bits_per_second
        return (
            (header.fingerprint, header.parameters) == (codec.fingerprint, codec.parameters)
            and (header.rate_mode, header.experts_total) == (settings.rate_mode, total)
            and (settings.constant or rate == settings.nominal_bits_per_second)
            and dict(header.tags) == self.tags
        )


def parse_tags(entries: tuple[str, ...]) -> dict[str, str]:
    """`K=V` entries as a mapping. Raises UsageError."""
    if not entries:
        return {}
    from ..bitstream import check_tags

    tags: dict[str, str] = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        check_usage(equals, f"--tag {entry!r}: write it as KEY=VALUE")
        check_usage(key not in tags, f"--tag {key!r} is given twice")
        tags[key] = value
    check_tags(tags.items())
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
    click.option(
        "--abr",
        type=float,
        metavar="X",
        help="Instead of a constant rate: X kbps on average, more where it helps most. A file is read twice; "
        "a pipe is coded with half a minute in view.",
    ),
    click.option(
        "--vbr",
        type=float,
        metavar="Q",
        help="Instead of a rate: a quality from 0 to 10, with as many bits as each second needs.",
    ),
    click.option(
        "--max-kbps", type=float, metavar="X", help="With --abr or --vbr: no second above this rate."
    ),
    effort_option,
    channels_option,
    click.option(
        "--tag", multiple=True, metavar="KEY=VALUE", help="Store a note in the file; may be repeated."
    ),
)


def encode_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """All options that say how to code, for `EncodeOptions.take`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
