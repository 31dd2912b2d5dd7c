"""The page of `swc eval --html`, in a real browser."""

from __future__ import annotations

import csv
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import tiny_codecs
from browser import open_page

from switchcodec_cli.errors import UsageError
from switchcodec_cli.evaluation import AudioStore, Point, RateQuality, Row, rate_quality
from switchcodec_cli.evaluation.listening_tests import combine_sessions, read_session
from switchcodec_cli.evaluation.statistics import binomial_p_value
from switchcodec_cli.report.listening_page import PageOptions, check_page, write_page

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

RATE = 16000
FADE = 0.008  # seconds


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> SimpleNamespace:
    """A page of two items at two rates, and one whose audio is beside it."""
    folder = tmp_path_factory.mktemp("report")
    for seed, name in enumerate(("speech/one.wav", "music/two</script>.wav")):
        (folder / name).parent.mkdir(parents=True)
        soundfile.write(folder / name, tiny_codecs.audio(2 * RATE, 1, RATE, seed), RATE)
    points = [Point.at_rate(kbps, "tiny", effort=0) for kbps in (0.6, 2.6)]
    with AudioStore() as store:
        codec = tiny_codecs.codec("spectral")
        result = rate_quality(
            codec, [folder], points, metrics=["mel", "si_sdr", "level"], on_coded=store.keep
        )
        assert not result.errors
        for name, assets in (("page.html", False), ("parts.html", True)):
            write_page(result, store.items, PageOptions(str(folder / name), weights="12ab", assets=assets))
    return SimpleNamespace(folder=folder, page=folder / "page.html", parts=folder / "parts.html")


@pytest.fixture(scope="module")
def browser(report, tmp_path_factory):
    with open_page(report.page, tmp_path_factory.mktemp("profile")) as visit:
        yield visit


@pytest.fixture
def visit(browser, report):
    """The page, just opened and ready to play."""
    del browser.problems[:], browser.requests[:]
    browser.page.goto(report.page.as_uri())
    browser.page.wait_for_selector("#versions [aria-pressed=true]")
    browser.requests.remove(report.page.as_uri())
    return browser


def test_page_opens_without_errors_and_requests(visit):
    page = visit.page
    assert page.locator("#items tbody tr").count() == 2
    assert page.locator("#pictures figure").count() == 3
    assert page.locator(".panels svg").count() == 6 and "95 %" in page.inner_text("#curves")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector(f'#item[data-complete="{page.evaluate("itemView.item.name")}"]')
    assert page.evaluate("itemView.levels.length") == 3
    assert visit.problems == [] and visit.requests == []


def test_worst_items_come_first(visit):
    names = visit.page.locator("#items tbody button").all_inner_texts()
    scores = [float(text) for text in visit.page.locator("#items tbody tr td:nth-child(4)").all_inner_texts()]
    assert scores[0] > scores[1] and any("</script>" in name for name in names)
    visit.page.check("#sort-best")
    assert visit.page.locator("#items tbody button").all_inner_texts() == names[::-1]


def test_items_are_sorted_by_the_magnitude_of_changes(visit):
    levels = "(levels) => levels.forEach((level, n) => (report.items[n].versions[0].scores.level = level))"
    visit.page.evaluate(levels, [-9, 3])
    visit.page.select_option("#sort-metric", "level")
    assert visit.page.evaluate("itemTable.order") == [0, 1]
    visit.page.evaluate(levels, [-2, 3])
    assert visit.page.evaluate("itemTable.order") == [1, 0]
    visit.page.check("#sort-best")
    assert visit.page.evaluate("itemTable.order") == [0, 1]
    assert visit.page.locator("#items th").all_inner_texts()[-1] == "Level →0"


def test_keys_play_switch_and_loop(visit):
    page = visit.page
    page.keyboard.press("2")
    real = page.evaluate("itemView.versions[2].kbps")
    assert page.locator("#versions [aria-pressed=true]").inner_text() == f"2tiny 2.6 kbps real {real:.2f}"
    page.keyboard.press("ArrowRight")
    assert page.evaluate("player.position") == 1
    page.keyboard.press("[")
    page.keyboard.press(" ")
    assert page.evaluate("player.playing && player.loop.start === 1") and page.inner_text("#play") == "Pause"
    page.keyboard.press("l")
    page.keyboard.press(" ")
    assert page.evaluate("!player.playing && player.loop === null && itemView.region.start === 1")


def test_dragging_on_the_waveform_selects_a_region(visit):
    box = visit.page.locator("#waveform").bounding_box()
    y = box["y"] + 20
    visit.page.mouse.move(box["x"] + 0.25 * box["width"], y)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 0.75 * box["width"], y, steps=3)
    visit.page.mouse.up()
    loop = visit.page.evaluate("player.loop")
    assert (loop["start"], loop["end"]) == pytest.approx((0.5, 1.5), abs=0.01)


def test_matching_of_loudness_is_off_and_prints_its_gain(visit):
    assert visit.page.evaluate("player.levels") == [1, 1, 1] and visit.page.inner_text("#gain") == ""
    visit.page.keyboard.press("1")
    visit.page.keyboard.press("m")
    gain = visit.page.evaluate("matchingGain(itemView.item, itemView.versions[1])")
    assert visit.page.inner_text("#gain") == f"{'−' if gain < 0 else '+'}{abs(gain):.1f} dB"
    assert visit.page.evaluate("player.levels[1]") == pytest.approx(10 ** (gain / 20))


RENDER = """async ({start, offset, loop, switches, seconds}) => {
  const names = ["0-0", "0-1", "0-2"];
  const buffers = await Promise.all(names.map((name) => library.decode(name)));
  const context = new OfflineAudioContext(1, seconds * report.sampleRate, report.sampleRate);
  const mixer = new VersionMixer(context, buffers);
  mixer.start(start, offset, loop, 0);
  for (const [when, version] of switches) mixer.switchTo(version, when);
  const output = await context.startRendering();
  const samples = (buffer) => Array.from(buffer.getChannelData(0));
  return {output: samples(output), sources: buffers.map(samples)};
}"""


def render(visit, start, offset, switches, loop=None, seconds=1.5):
    plan = {"start": start, "offset": offset, "loop": loop, "switches": switches, "seconds": seconds}
    rendered = visit.page.evaluate(RENDER, plan)
    return np.array(rendered["output"]), [np.array(source) for source in rendered["sources"]]


def best_lag(segment, source, expected, reach=320):
    """Delay in samples, relative to the expected place, at which the segment correlates best."""
    lags = range(-reach, reach + 1)
    parts = [source[expected + lag : expected + lag + len(segment)] for lag in lags]
    return lags[int(np.argmax([segment @ part / np.linalg.norm(part) for part in parts]))]


def test_switching_keeps_the_position(visit):
    start, offset = 0.125, 0.25
    switches = [(0.45, 1), (0.75, 2), (1.0, 0), (1.2, 1), (1.202, 2)]
    output, sources = render(visit, start, offset, switches)
    segments = [(start, 0.45, 0), (0.45, 0.75, 1), (0.75, 1.0, 2), (1.0, 1.2, 0), (1.202 + FADE, 1.5, 2)]
    for begin, end, version in segments:
        first, last = round((begin + FADE) * RATE) + 1, round(end * RATE) - 1
        place = first + round((offset - start) * RATE)
        segment = output[first:last]
        assert abs(best_lag(segment, sources[version], place)) <= RATE // 1000
        assert segment == pytest.approx(sources[version][place : place + len(segment)], abs=1e-4)
    assert np.abs(output[: round(start * RATE)]).max() == 0


def test_switching_and_stopping_make_no_steps(visit):
    """Versions that are constants show nothing but the fades, which are linear and take 8 ms."""
    output = visit.page.evaluate("""async () => {
      const constant = (value) => {
        const buffer = new AudioBuffer({length: 16000, sampleRate: 16000});
        buffer.getChannelData(0).fill(value);
        return buffer;
      };
      const context = new OfflineAudioContext(1, 8000, 16000);
      const mixer = new VersionMixer(context, [constant(0.5), constant(-0.5)]);
      mixer.start(0.05, 0, null, 0);
      const switches = [[0.1, 1], [0.2, 0], [0.202, 1], [0.204, 0]];
      for (const [when, version] of switches) mixer.switchTo(version, when);
      mixer.stop(0.4);
      return Array.from((await context.startRendering()).getChannelData(0));
    }""")
    at = [output[round(seconds * RATE)] for seconds in (0.04, 0.09, 0.15, 0.199, 0.3, 0.42)]
    assert at == pytest.approx([0, 0.5, -0.5, -0.5, 0.5, 0], abs=1e-6)
    assert np.abs(np.diff(output)).max() <= 1.02 / (FADE * RATE)  # a change by 1 in 8 ms


def test_loop_repeats_a_region(visit):
    output, sources = render(visit, 0, 0.5, [(0.9, 1)], {"start": 0.5, "end": 0.75})
    length = round(0.25 * RATE)
    region = sources[1][round(0.5 * RATE) : round(0.75 * RATE)]
    assert output[4 * length : 5 * length] == pytest.approx(region, abs=1e-4)


def test_anchors_are_low_passed(visit):
    samples = visit.page.evaluate("""async () => {
      const click = new AudioBuffer({length: 8000, sampleRate: 16000});
      click.getChannelData(0)[4000] = 1;
      return Array.from((await lowPassed(click, 3500)).getChannelData(0));
    }""")
    assert np.argmax(np.abs(samples)) == 4000
    levels = 20 * np.log10(np.abs(np.fft.rfft(samples)) + 1e-9)  # one bin for every 2 Hz
    assert np.abs(levels[: 3500 // 2]).max() < 0.1
    assert levels[4000 // 2] < -25 and levels[4500 // 2 :].max() < -50  # as BS.1534-3 asks


def start_test(page, kind, seed=7):
    page.check(f"[name=test][value={kind}]")
    page.fill("#listener", "A. Listener")
    page.fill("#seed", str(seed))


def download(page, button, folder):
    with page.expect_download() as waiting:
        page.click(button)
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def wait_for_trial(page, number):
    page.wait_for_selector(f'#session[data-trial="{number}"]')


X_IS_A_OR_B = """() => {
  const [a, b, x] = listeningTest.player.buffers.map((buffer) => buffer.getChannelData(0));
  return [a, b].map((samples) => samples.every((value, n) => value === x[n]));
}"""


def test_abx_session(visit, tmp_path):
    page = visit.page
    start_test(page, "abx")
    page.select_option("#second-version", "tiny 0.6 kbps")
    page.fill("#trials", "8")
    page.click("#test-form button.primary")
    for number in range(8):
        wait_for_trial(page, number)
        assert not page.is_visible("main") and "correct" not in page.inner_text("#session")
        page.keyboard.press("x")
        assert page.evaluate("listeningTest.player.playing && listeningTest.player.current === 2")
        x = page.evaluate(X_IS_A_OR_B)
        assert sorted(x) == [False, True]
        right = "A" if x[0] else "B"
        answer = right if number else {"A": "B", "B": "A"}[right]  # the first one wrong
        page.click(f"button.answer[data-answer={answer}]")
    page.wait_for_selector("#test-result")
    assert "7 of 8 correct, p = 0.0352" in page.inner_text("#test-result")
    path = download(page, "#download-json", tmp_path)
    results = json.loads(path.read_text())
    assert results["seed"] == 7 and results["summary"]["p_value"] == pytest.approx(binomial_p_value(7, 8))
    (combined,) = combine_sessions([read_session(path)]).abx
    assert (combined.correct, combined.trials, combined.pair) == (7, 8, ("original", "tiny 0.6 kbps"))
    lines = list(csv.DictReader(download(page, "#download-csv", tmp_path).read_text().splitlines()))
    assert [line["value"] for line in lines] == [trial["answer"] for trial in results["trials"]]
    page.click("#close-test")
    assert page.is_visible("main") and visit.problems == [] and visit.requests == []


def test_preference_session(visit, tmp_path):
    page = visit.page
    start_test(page, "preference")
    page.select_option("#first-version", "tiny 0.6 kbps")
    page.select_option("#second-version", "tiny 2.6 kbps")
    page.click("#test-form button.primary")
    for number, answer in enumerate(["tiny 2.6 kbps", "none"]):
        wait_for_trial(page, number)
        page.click(f'button.answer[data-answer="{answer}"]')
    page.wait_for_selector("#test-result")
    path = download(page, "#download-json", tmp_path)
    (combined,) = combine_sessions([read_session(path)]).preference
    assert (combined.first, combined.second, combined.none, combined.p_value) == (0, 1, 1, 1)


def test_mushra_session(visit, tmp_path):
    page = visit.page
    start_test(page, "mushra")
    page.click("#test-form button.primary")
    wait_for_trial(page, -1)  # training
    assert "hidden" not in page.inner_text("#session") and "low anchor" in page.inner_text("#session")
    page.click("#begin-rating")
    orders = []
    scores = {"reference": 100, "low anchor": 20, "mid anchor": 60, "tiny 0.6 kbps": 30, "tiny 2.6 kbps": 40}
    for number in range(2):
        wait_for_trial(page, number)
        assert "anchor" not in page.inner_text("#session") and page.is_disabled("#next-trial")
        orders.append(page.evaluate("listeningTest.trial.order"))
        for place, name in enumerate(orders[-1]):
            page.keyboard.press(str(place + 1))
            assert page.evaluate("listeningTest.player.current") == place + 1
            page.fill(f"[data-stimulus='{place + 1}']", str(scores[name]))
        page.click("#next-trial")
    page.wait_for_selector("#test-result")
    assert sorted(orders[0]) == sorted(scores) and orders[0] != orders[1]
    path = download(page, "#download-json", tmp_path)
    (combined,) = combine_sessions([read_session(path)]).mushra
    assert [(each.name, each.mean) for each in combined.conditions] == sorted(
        scores.items(), key=lambda entry: -entry[1]
    )
    assert combined.listeners == 1 and not combined.excluded
    assert visit.problems == [] and visit.requests == []


def test_a_seed_gives_the_same_order_again(visit):
    trials = "(seed) => abxTrials({items: ['a', 'b', 'c'], trials: 20}, seededRandom(seed))"
    once, again, other = (visit.page.evaluate(trials, seed) for seed in (5, 5, 6))
    assert once == again != other and {trial["x"] for trial in once} == {"A", "B"}


def test_audio_beside_the_page(browser, report):
    del browser.problems[:], browser.requests[:]
    browser.page.goto(report.parts.as_uri())
    browser.page.wait_for_selector("#item[data-complete]")
    audio = (report.folder / "parts_audio").as_uri()
    requests = [url for url in browser.requests if url != report.parts.as_uri()]
    assert requests and all(url.startswith(audio) for url in requests) and browser.problems == []
    assert report.parts.stat().st_size < report.page.stat().st_size - 100_000


def test_rate_differences_of_changes_compare_magnitudes(tmp_path):
    rows = [
        Row("a.wav", "speech", curve, f"{kbps}", kbps, float(kbps), 1, 1.0, 1.0, 1.0, {"level": level})
        for curve, factor, sign in (("one", 1, -1), ("two", 2, 1))
        for kbps, level in ((factor, sign * 8.0), (4 * factor, sign * 2.0), (8 * factor, sign * 1.0))
    ]
    write_page(RateQuality(("level",), rows), [], PageOptions(str(tmp_path / "page.html")))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<td>two</td><td class="value">+100 %</td>' in text


def test_existing_pages_are_kept(report, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="exists already"):
        check_page(PageOptions(str(report.page)))
    (tmp_path / "new_audio").mkdir()
    with pytest.raises(UsageError, match="new_audio: exists already"):
        check_page(PageOptions(str(tmp_path / "new.html"), assets=True))
    (tmp_path / "new_audio" / "mine.txt").touch()
    with pytest.raises(UsageError, match="not a folder of a report"):
        check_page(PageOptions(str(tmp_path / "new.html"), assets=True, force=True))
    with pytest.raises(UsageError, match=r"\.html"):
        check_page(PageOptions(str(tmp_path / "new.pdf")))
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UsageError, match=r"switchcodec-cli\[report\]"):
        check_page(PageOptions(str(tmp_path / "new.html")))
