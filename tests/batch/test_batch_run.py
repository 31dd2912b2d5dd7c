"""Execution of plans, without the command line."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile

from switchcodec_cli import Codec, EncoderSettings
from switchcodec_cli.batch.decode_job import DecodeRequest, FileDecoder
from switchcodec_cli.batch.encode_job import EncodeRequest, FileEncoder
from switchcodec_cli.batch.plan import (
    STREAM_SUFFIXES,
    Conversion,
    IgnoredInput,
    Job,
    Plan,
    RejectedInput,
    plan_jobs,
)
from switchcodec_cli.batch.run import Difference, RunOptions, run_plan
from switchcodec_cli.errors import BadInputError, UsageError

ROOT = Path(__file__).parents[2]


@dataclass
class Recorder:
    """A reporter that records its calls."""

    events: list[tuple[str, ...]] = field(default_factory=list)
    seconds: float = 0.0

    def start(self, name, seconds):
        self.seconds = 0.0

    def advance(self, seconds):
        self.seconds += seconds

    def succeeded(self, result):
        self.events.append(("succeeded", str(result)))

    def skipped(self, job):
        self.events.append(("skipped", job.source))

    def planned(self, job):
        self.events.append(("planned", job.source))

    def deleted(self, job):
        self.events.append(("deleted", job.source))

    def ignored(self, ignored):
        self.events.append(("ignored", ignored.source, ignored.reason))

    def failed(self, source, output, error):
        self.events.append(("failed", source, str(output), str(error)))


class CopyWorker:
    """A worker that copies files; those named "bad" fail."""

    def run(self, job, progress):
        if "bad" in job.source:
            raise BadInputError(f"{job.source}: bad")
        Path(job.output).write_bytes(Path(job.source).read_bytes())
        return job.source

    def difference(self, job):
        is_same = Path(job.output).read_bytes() == Path(job.source).read_bytes()
        return None if is_same else Difference("is different", is_replaceable="precious" not in job.source)


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "bad"):
        Path(name).write_text(name)


def test_errors_do_not_stop_the_batch():
    rejected = RejectedInput("missing", BadInputError("missing: no such file"))
    plan = Plan([Job("bad", "bad.out"), Job("a", "a.out")], [rejected])
    reporter = Recorder()
    batch = run_plan(plan, CopyWorker, reporter)
    assert reporter.events == [
        ("failed", "missing", "None", "missing: no such file"),
        ("failed", "bad", "bad.out", "bad: bad"),
        ("succeeded", "a"),
    ]
    assert (batch.results, batch.skipped, batch.failed, batch.exit_code) == (["a"], 0, 2, 1)


def test_exit_code_of_a_single_file_is_that_of_its_error():
    plan = Plan([Job("bad", "bad.out")], is_single=True)
    assert run_plan(plan, CopyWorker, Recorder()).exit_code == BadInputError.exit_code


def test_outputs_that_are_up_to_date_are_skipped():
    plan = Plan([Job("a", "a.out"), Job("b", "b.out")])
    run_plan(plan, CopyWorker, Recorder())
    reporter = Recorder()
    assert run_plan(plan, CopyWorker, reporter).skipped == 2
    assert reporter.events == [("skipped", "a"), ("skipped", "b")]
    assert run_plan(plan, CopyWorker, Recorder(), RunOptions(force=True)).results == ["a", "b"]

    os.utime("a.out", (1, 1))
    Path("b.out").write_text("changed")
    reporter = Recorder()
    batch = run_plan(plan, CopyWorker, reporter)
    assert batch.failed == 2
    assert "a.out: exists already and is older than a" in reporter.events[0][3]
    assert "b.out: exists already and is different" in reporter.events[1][3]


def test_worker_is_created_only_for_jobs():
    def create_worker():
        pytest.fail("there are no jobs")

    rejected = RejectedInput("missing", BadInputError("missing"))
    assert run_plan(Plan(rejected=[rejected]), create_worker, Recorder()).exit_code == 1
    assert run_plan(Plan(), create_worker, Recorder()).exit_code == 0


def test_broken_pipe_ends_the_batch():
    class BrokenPipe(CopyWorker):
        def run(self, job, progress):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_plan(Plan([Job("a", "a.out"), Job("b", "b.out")]), BrokenPipe, Recorder())


@pytest.mark.parametrize("processes", [1, 2])
def test_errors_of_the_reporter_end_the_batch(processes):
    class FullDisk(Recorder):
        def succeeded(self, result):
            raise OSError("no space left on device")

    reporter = FullDisk()
    with pytest.raises(OSError, match="no space left"):
        run_plan(Plan([Job("a", "a.out"), Job("b", "b.out")]), CopyWorker, reporter, processes=processes)
    assert reporter.events == []


def test_files_are_encoded_and_decoded():
    codec = Codec.load(ROOT / "tests" / "golden" / "spectral.safetensors", device="cpu")
    noise = 0.1 * np.random.default_rng(0).standard_normal(24000)
    soundfile.write("noise.wav", noise, 16000)
    request = EncodeRequest(EncoderSettings(experts=2, effort=0), tags={"title": "noise"})
    plan = plan_jobs(["noise.wav"], None, Conversion(frozenset({".wav"}), STREAM_SUFFIXES, ".swc"))
    reporter = Recorder()
    (encoded,) = run_plan(plan, lambda: FileEncoder(codec, request), reporter).results
    assert (encoded.seconds, encoded.pcm_bytes, encoded.header.tags) == (1.5, 48000, (("title", "noise"),))
    assert encoded.output_bytes == Path("noise.swc").stat().st_size
    assert reporter.seconds == pytest.approx(1.5)
    encoder = FileEncoder(codec, request)
    assert encoder.difference(plan.jobs[0]) is None
    other = FileEncoder(codec, EncodeRequest(EncoderSettings(experts=1)))
    difference = other.difference(plan.jobs[0])
    assert difference.text == (
        "was made with other settings (experts 2 instead of 1; effort 0 instead of 2; other tags)"
    )

    decoder = FileDecoder(codec, DecodeRequest(start=0.5))
    job = Job("noise.swc", "back.wav")
    decoded = decoder.run(job, Recorder())
    assert (decoded.samples, decoded.subtype, decoded.concealed) == (16000, "PCM_16", ())
    assert soundfile.info("back.wav").frames == 16000
    assert decoder.difference(job) is None
    assert "other audio" in FileDecoder(codec, DecodeRequest()).difference(job).text


def test_impossible_settings_are_refused_at_once():
    codec = Codec.load(ROOT / "tests" / "golden" / "spectral.safetensors", device="cpu")
    with pytest.raises(UsageError, match="experts must be"):
        FileEncoder(codec, EncodeRequest(EncoderSettings(experts=99)))


def test_pipes_support_only_wav_and_raw_audio():
    DecodeRequest().check_output("-")
    DecodeRequest(format="raw").check_output("-")
    with pytest.raises(UsageError, match="a pipe supports only WAV and raw audio, not FLAC"):
        DecodeRequest(format="flac").check_output("-")


def test_click_is_not_imported():
    program = (
        "import sys\n"
        "import switchcodec_cli.batch.encode_job, switchcodec_cli.batch.decode_job\n"
        "import switchcodec_cli.report.rate_quality_figure, switchcodec_cli.report.routing_figure\n"
        "print([name for name in sys.modules if name == 'click' or name.startswith('switchcodec_cli.cli')])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert result.stdout == "[]\n"


def test_stale_and_different_outputs_are_made_again_by_update():
    for name in ("a", "b", "precious"):
        Path(name).write_text(name)
        Path(f"{name}.out").write_text("changed" if name != "a" else name)
    os.utime("a.out", (1, 1))
    plan = Plan([Job(name, f"{name}.out") for name in ("a", "b", "precious", "bad")])
    reporter = Recorder()
    batch = run_plan(plan, CopyWorker, reporter, RunOptions(update=True))
    assert batch.results == ["a", "b"] and batch.failed == 2
    assert "precious.out: exists already and is different" in reporter.events[2][3]
    assert [Path(f"{name}.out").read_text() for name in ("a", "b", "precious")] == ["a", "b", "changed"]


def test_dry_run_creates_no_worker():
    def create_worker():
        pytest.fail("nothing is executed")

    Path("a.out").write_text("a")
    plan = Plan([Job("a", "a.out"), Job("b", "b.out")])
    reporter = Recorder()
    batch = run_plan(plan, create_worker, reporter, RunOptions(dry_run=True), CopyWorker().difference)
    assert reporter.events == [("skipped", "a"), ("planned", "b")]
    assert (batch.planned, batch.skipped) == (1, 1) and not Path("b.out").exists()


def test_sources_are_deleted_only_if_the_output_is_as_it_should_be():
    class BadDisk(CopyWorker):
        def run(self, job, progress):
            Path(job.output).write_text("?")
            return job.source

    plan = Plan([Job("a", "a.out")])
    reporter = Recorder()
    assert run_plan(plan, BadDisk, reporter, RunOptions(delete_input=True)).exit_code == 1
    assert "a: not deleted, since a.out is different" in reporter.events[1][3] and Path("a").exists()
    run_plan(plan, CopyWorker, Recorder(), RunOptions(force=True, delete_input=True, dry_run=True))
    assert Path("a").exists()
    reporter = Recorder()
    run_plan(plan, CopyWorker, reporter, RunOptions(force=True, delete_input=True))
    assert reporter.events == [("succeeded", "a"), ("deleted", "a")] and not Path("a").exists()
    assert Path("a.out").read_text() == "a"


def test_files_that_are_ignored_are_counted():
    reporter = Recorder()
    batch = run_plan(Plan(ignored=[IgnoredInput("x", "is a named pipe")]), CopyWorker, reporter)
    assert (batch.ignored, batch.exit_code) == (1, 0)
    assert reporter.events == [("ignored", "x", "is a named pipe")]
