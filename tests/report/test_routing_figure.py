"""The routing of a stream as a figure."""

import numpy as np
import pytest
from summaries import CODED, make_summary

from switchcodec_cli.report import routing_figure

pytest.importorskip("matplotlib")


@pytest.fixture
def axes_of(monkeypatch):
    """Plot a summary without writing a file; gives the axes."""
    figures = []
    monkeypatch.setattr(routing_figure, "save_figure", lambda figure, *_: figures.append(figure))

    def plot(summary):
        routing_figure.plot_routing(summary, "title", "unused.png")
        return figures[-1].axes

    return plot


def test_a_last_window_of_milliseconds_does_not_scale_the_rates(axes_of):
    masks = np.zeros((5, 1, 4))
    (*_, rates) = axes_of(make_summary([(CODED,)] * 5, masks, seconds=4.0001))
    assert rates.get_ylim() == pytest.approx((0, 1.05 * 0.8))  # 100 bytes per second
    (*_, rates) = axes_of(make_summary([(CODED,)], masks[:1], seconds=0.5))
    assert rates.get_ylim() == pytest.approx((0, 1.05 * 1.6))


def test_ticks_of_experts_are_integers(axes_of):
    masks = np.zeros((5, 2, 4))
    masks[:, :, 1] = 1
    axes = axes_of(make_summary([(CODED, CODED)] * 5, masks, "LEFT_RIGHT"))
    for axis in axes[:-1]:
        ticks = axis.get_yticks()
        assert len(ticks) > 1 and all(tick == round(tick) for tick in ticks)


def test_empty_stream(axes_of):
    axes = axes_of(make_summary([], np.zeros((0, 1, 4))))
    assert len(axes) == 3 and axes[-1].get_ylim()[1] > 0


def test_waveform_layers_are_shown_apart(axes_of):
    masks, layers = np.zeros((2, 2, 4)), np.array([[10, 15], [0, 50]])
    (*_, rates) = axes_of(make_summary([(CODED, CODED)] * 2, masks, "LEFT_RIGHT", layers=layers))
    shown = {step.get_label(): step.get_data().values for step in rates.patches}
    assert shown["window"] == pytest.approx([0.8, 0.8])
    assert shown["waveform layers"] == pytest.approx([0.2, 0.4])
    (*_, rates) = axes_of(make_summary([(CODED, CODED)] * 2, masks, "LEFT_RIGHT"))
    assert [step.get_label() for step in rates.patches] == ["window"]
