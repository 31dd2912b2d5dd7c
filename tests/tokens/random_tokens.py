"""Random streams of every kind, for the tests of tokens."""

from __future__ import annotations

from bitstream.streams import REQUEST, SOURCE, make_header, make_stream
from hypothesis import strategies as st

from switchcodec_cli.bitstream import ChannelCoding, RateMode, StreamParameters


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """The bytes of streams with small parameters: any rate mode, one or two signals, all kinds of blocks."""
    parameters = StreamParameters(
        sample_rate=8000,
        hop=10,
        frames_per_window=draw(st.integers(1, 6)),
        experts=draw(st.integers(0, 5)),
        codebook_size=draw(st.sampled_from([2, 3, 16, 65536])),
        codebooks_per_quantizer=draw(st.integers(1, 3)),
    )
    coding = draw(st.sampled_from(list(ChannelCoding)))
    signals = 2 if coding in (ChannelCoding.LEFT_RIGHT, ChannelCoding.MID_SIDE) else 1
    total = draw(st.integers(0, 250))
    header = make_header(
        parameters,
        coding,
        draw(st.sampled_from(list(RateMode))),
        experts_total=draw(st.integers(0, parameters.experts * signals)),
        total_samples=draw(st.sampled_from([None, total])),
        original_rate=draw(st.sampled_from([8000, 11025, 44100])),
        tags=draw(st.sampled_from([(), (("title", "Wörter"), ("title", ""))])),
    )
    return make_stream(
        total,
        header,
        seed=draw(st.integers(0, 1000)),
        derived=draw(st.sampled_from([0.0, 0.5])),
        source=draw(st.sampled_from([None, SOURCE])),
        request=draw(st.sampled_from([None, REQUEST])),
    )[0]
