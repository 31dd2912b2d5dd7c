"""`swc transcode`."""

from __future__ import annotations

import click

from ..atomic_io import PIPE
from ..batch.files import open_input, open_output
from ..errors import UsageError
from ..storage import is_same_file
from .errors import Invocation
from .formatting import format_size
from .options import Command, force_option, json_option, quiet_option, weights_option
from .progress import Progress

EXAMPLES = (
    ("swc transcode talk.swc small.swc --kbps 1.3", "Writes a stream of at most 1.3 kbps."),
    ("swc transcode talk.swc base.swc --experts 0", "Keeps the shared quantizer alone."),
    ("swc transcode talk.swc plain.swc --plain", "Replaces modelled indices by plain ones, without loss."),
)


@click.command(cls=Command, examples=EXAMPLES, short_help="Lower the rate of a .swc file.")
@click.argument("source", metavar="IN", type=click.Path(allow_dash=True, readable=False))
@click.argument("output", metavar="OUT", type=click.Path(allow_dash=True, readable=False))
@click.option("--kbps", type=float, metavar="X", help="Rate of the whole file; it is at most X.")
@click.option(
    "--experts", type=int, metavar="K", help="Largest number of experts of each window and channel."
)
@click.option("--plain", "coding", flag_value="plain", help="Write plain indices.")
@click.option("--modelled", "coding", flag_value="modelled", help="Write indices coded with the index model.")
@weights_option
@force_option
@json_option
@quiet_option
@click.pass_obj
def transcode(
    invocation: Invocation,
    /,
    source: str,
    output: str,
    kbps: float | None,
    experts: int | None,
    coding: str | None,
    weights: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Write a .swc file again at a lower rate, or with another coding of the indices.

    Neither the audio nor the networks are needed. Each window keeps the first of its experts, and its
    waveform layers become coarser. A file encoded at the lower rate is better at this rate, since the encoder
    could choose the experts for it. IN and OUT may be URLs, or - for the standard streams. Damaged files are
    errors.
    """
    from ..bitstream.transcoding import TranscodeSettings
    from ..bitstream.transcoding import transcode as transcode_stream
    from ..model.packaged_index_model import index_model_of, waveform_model_of

    settings = TranscodeSettings(kbps, experts, None if coding is None else coding == "modelled")
    if PIPE not in (source, output) and is_same_file(source, output):
        raise UsageError(f"{source}: its output would replace it")
    progress = Progress("transcoding", quiet=quiet, as_json=as_json, debug=invocation.debug)
    with open_input(source) as file, open_output(output, force) as target:
        writer = transcode_stream(
            file,
            target,
            settings,
            lambda header: index_model_of(header, weights),
            lambda header: waveform_model_of(header, weights),
        )
    size = -(-writer.budget.total // 8)
    progress.record({"file": output, "bytes": size})
    progress.message(f"{output}: {format_size(size)}")
    return 0
