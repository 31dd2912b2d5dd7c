"""Archives of many recordings: nothing is lost, and nothing is silent."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from switchcodec_cli.audio import AudioReader
from switchcodec_cli.batch.comparison import source_digest
from switchcodec_cli.bitstream import StreamReader

WEIGHTS = Path(__file__).parents[1] / "golden" / "spectral.safetensors"
FAST = ("--weights", WEIGHTS, "--effort", "0")
RATE = 16000


def record(path: str, seed: int = 0, seconds: float = 0.5, **options) -> Path:
    """Write noise that is different for every seed."""
    noise = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise, RATE, **options)
    return Path(path)


def digest_in(stream: str | Path):
    """The digest of the source that a stream stores."""
    with open(stream, "rb") as file:
        return StreamReader(file).trailer.source


def digest_of(source: str | Path):
    """The digest of a recording."""
    with AudioReader(source) as reader:
        return source_digest(reader)


def tree(folder: str = ".") -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


@pytest.fixture
def two_folders():
    """Different recordings of the same length with the same names in two folders."""
    for number, name in enumerate(("a/0001.wav", "a/0002.wav", "b/0001.wav", "b/0002.wav")):
        record(name, number)


@pytest.fixture
def pipeline(monkeypatch):
    """Run a shell command in which $SWC is the program with fast settings."""
    folder = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("SWC", f"{sys.executable} -m switchcodec_cli")
    monkeypatch.setenv("FAST", " ".join(map(str, FAST)))

    def run(command: str) -> subprocess.CompletedProcess:
        return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=120)

    return run


@pytest.mark.skipif(shutil.which("xargs") is None, reason="needs xargs")
@pytest.mark.parametrize(
    ("names", "options"), [(["0001", "0002"], "-n2"), (["0001"], "-n1"), (["0001"], "-n1 -P2")]
)
def test_pipeline_of_two_folders_with_the_same_names_loses_nothing(pipeline, two_folders, names, options):
    files = " ".join(f"{folder}/{name}.wav" for folder in "ab" for name in names)
    result = pipeline(f"ls {files} | xargs {options} $SWC encode $FAST -o arch/")
    assert result.returncode == 123
    streams = {path: digest_in(path) for path in Path("arch").iterdir()}
    assert sorted(path.stem for path in streams) == names
    for name in names:
        present = [folder for folder in "ab" if digest_of(f"{folder}/{name}.wav") in streams.values()]
        (lost,) = set("ab") - set(present)  # and this one is reported
        errors = [line for line in result.stderr.splitlines() if line.startswith("swc: error")]
        about = [line for line in errors if f"arch/{name}.swc" in line]
        assert len(about) == 1
        assert f"{lost}/{name}.wav" in about[0]
        if "-P2" not in options:
            assert "exists already and contains other audio than" in about[0]


def test_paths_are_kept_relative_to_a_folder(swc, two_folders):
    paths = ("a/0001.wav", "a/0002.wav", os.path.abspath("b/0001.wav"), "a/../b/0002.wav")
    swc("encode", *paths, "--relative-to", ".", "-o", "arch", *FAST)
    assert tree("arch") == ["a/0001.swc", "a/0002.swc", "b/0001.swc", "b/0002.swc"]
    for name in tree("arch"):
        assert digest_in(Path("arch", name)) == digest_of(Path(name).with_suffix(".wav"))
    swc("encode", "b/0001.wav", "--relative-to", "b", "-o", "one", *FAST)  # a single file, a new folder
    swc("encode", "a", "--relative-to", ".", "-o", "one", *FAST)
    assert tree("one") == ["0001.swc", "a/0001.swc", "a/0002.swc"]
    swc("decode", "arch/b/0001.swc", "arch/a/0001.swc", "--relative-to", "arch", "-o", "back", *FAST[:2])
    assert tree("back") == ["a/0001.wav", "b/0001.wav"]


def test_paths_outside_of_the_folder_are_errors(swc, two_folders):
    result = swc("encode", "a/0001.wav", "b/0001.wav", "--relative-to", "a", "-o", "out", *FAST, code=1)
    assert "b/0001.wav: is not below a" in result.err and tree("out") == ["0001.swc"]
    assert "output folder" in swc("encode", "a/0001.wav", "--relative-to", "a", *FAST, code=2).err
    assert "is a file" in swc("encode", "a", "--relative-to", "a", "-o", "b/0001.wav", *FAST, code=2).err
    assert "no such folder" in swc("encode", "a", "--relative-to", "c", "-o", "out", *FAST, code=2).err
    Path("link").symlink_to("a")
    swc("encode", "link/0002.wav", "--relative-to", "a", "-o", "out", *FAST)
    assert tree("out") == ["0001.swc", "0002.swc"]


def test_colliding_outputs_name_both_inputs(swc, two_folders):
    result = swc("encode", "a/0001.wav", "b/0001.wav", "-o", "out", *FAST, code=1)
    assert "b/0001.wav: its output out/0001.swc is also that of a/0001.wav" in result.err
    assert digest_in("out/0001.swc") == digest_of("a/0001.wav")
    swc("encode", "a/0001.wav", "./a/0001.wav", "-o", "out", *FAST)  # the same file twice is no collision


def test_another_recording_is_never_done(swc, two_folders):
    swc("encode", "a", "-o", "out", *FAST)
    before = {name: Path("out", name).read_bytes() for name in tree("out")}
    for options in ((), ("--update",)):
        result = swc("encode", "b", "-o", "out", *FAST, *options, "--json", code=1)
        assert [entry["status"] for entry in result.records] == ["failed", "failed"]
        assert "out/0001.swc: exists already and contains other audio than b/0001.wav" in result.err
    single = swc("encode", "b/0001.wav", "-o", "out", *FAST, code=2)
    assert "contains other audio than b/0001.wav" in single.err
    assert {name: Path("out", name).read_bytes() for name in tree("out")} == before


def test_another_decoded_recording_is_never_done(swc):
    for seed, folder in enumerate("ab"):
        record(f"{folder}/long.wav", seed, 4.3)
        swc("encode", folder, *FAST)
    for options in (
        (),
        ("--format", "ogg"),
        ("--rate", "8000"),
        ("--start", "0.7"),
        ("--subtype", "PCM_U8"),
    ):
        shutil.rmtree("out", ignore_errors=True)
        swc("decode", "a/long.swc", "-o", "out/", *FAST[:2], *options)
        assert "up to date" in swc("decode", "a/long.swc", "-o", "out/", *FAST[:2], *options).err
        (output,) = Path("out").iterdir()
        before = output.read_bytes()
        result = swc("decode", "b/long.swc", "-o", "out/", *FAST[:2], *options, code=2)
        assert "contains other audio than b/long.swc" in result.err
        assert output.read_bytes() == before


def test_damaged_decoded_audio_is_made_again_by_update(swc):
    record("a/long.wav", 0, 4.3)
    swc("encode", "a", *FAST)
    swc("decode", "a/long.swc", "-o", "out/", "--format", "flac", *FAST[:2])
    complete = Path("out/long.flac").read_bytes()
    Path("out/long.flac").write_bytes(complete[:-1000])
    assert (
        "is not readable"
        in swc("decode", "a/long.swc", "-o", "out/", "--format", "flac", *FAST[:2], code=2).err
    )
    swc("decode", "a/long.swc", "-o", "out/", "--update", "--format", "flac", *FAST[:2])
    assert Path("out/long.flac").read_bytes() == complete


def test_another_recording_is_no_update_if_times_are_preserved(swc, two_folders):
    for name in ("a/0001.wav", "a/0002.wav"):
        os.utime(name, (1, 1))
    swc("encode", "a", "-o", "out", "--preserve-time", *FAST)
    assert os.path.getmtime("out/0001.swc") == 1
    result = swc("encode", "b", "-o", "out", "--preserve-time", "--update", *FAST, code=1)
    assert "contains other audio than b/0001.wav" in result.err
    assert digest_in("out/0001.swc") == digest_of("a/0001.wav")


def test_single_file_for_a_folder_is_resumed(swc):
    record("a.wav")
    swc("encode", "a.wav", "-o", "out/", *FAST)
    assert "up to date" in swc("encode", "a.wav", "-o", "out/", *FAST).err
    assert "up to date" in swc("encode", "a.wav", "out/a.swc", "--update", *FAST).err
    assert "exists already" in swc("encode", "a.wav", "out/a.swc", *FAST, code=2).err


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ((), ("--effort", "1"), "effort 0 instead of 1"),
        (("--vbr", "3"), ("--vbr", "4"), "quality 3 instead of 4"),
        (("--vbr", "3"), ("--abr", "3"), "rate mode quality instead of average"),
        (("--vbr", "3"), ("--vbr", "3", "--max-kbps", "4"), "maximum bit/s unset instead of 4000"),
        (("--abr", "3"), ("--abr", "4"), "kbps 3 instead of 4"),
        (("--kbps", "2.1"), ("--kbps", "2.11"), "kbps 2.1 instead of 2.11"),
        (("--experts", "1"), ("--experts", "2"), "experts 1 instead of 2"),
        ((), ("--channels", "stereo"), "channels 1 instead of 2"),
        (("--tag", "a=1"), ("--tag", "a=2"), "other tags"),
    ],
)
def test_everything_that_is_asked_for_is_compared(swc, before, after, word):
    source = record("in/a.wav")
    os.utime(source, (1, 1))
    swc("encode", "in", *FAST, *before)
    first = Path("in/a.swc").read_bytes()
    assert "1 up to date" in swc("encode", "in", *FAST, *before).err
    result = swc("encode", "in", *FAST, *after, code=1)
    assert f"in/a.swc: exists already and was made with other settings ({word}" in result.err
    assert "--update" in result.err and Path("in/a.swc").read_bytes() == first
    assert "1 encoded" in swc("encode", "in", *FAST, *after, "--update").err
    assert Path("in/a.swc").read_bytes() != first
    assert "1 up to date" in swc("encode", "in", *FAST, *after, "--update").err


def test_default_rate_may_be_spelled_out(swc):
    record("in/a.wav")
    swc("encode", "in", *FAST)
    assert "up to date" in swc("encode", "in", *FAST, "--kbps", "2.67").err


def test_other_weights_and_damage_are_updated(swc, weights):
    source = record("in/a.wav")
    swc("encode", "in", "--weights", weights, "--effort", "0")
    assert "was made with other weights" in swc("encode", "in", *FAST, code=1).err
    swc("encode", "in", *FAST, "--update")
    sound = Path("in/a.swc").read_bytes()
    for damaged in (sound[:-1], sound[:70] + b"?" + sound[71:], sound[:30], b"", b"something else"):
        Path("in/a.swc").write_bytes(damaged)
        assert "is damaged" in swc("encode", "in", *FAST, code=1).err
        assert Path("in/a.swc").read_bytes() == damaged
        swc("encode", "in", *FAST, "--update")
        assert Path("in/a.swc").read_bytes() == sound
    os.utime("in/a.swc", (1, 1))
    assert "older" in swc("encode", "in", *FAST, code=1).err
    record("in/a.wav", seed=7)  # edited after it was encoded
    assert "other audio" in swc("encode", "in", *FAST, code=1).err
    swc("encode", "in", *FAST, "--update")
    assert digest_in("in/a.swc") == digest_of(source)
    assert tree("in") == ["a.swc", "a.wav"]


def test_failed_update_keeps_the_old_stream(swc):
    record("in/a.wav")
    swc("encode", "in", *FAST)
    before = Path("in/a.swc").read_bytes()
    Path("in/a.wav").write_bytes(Path("in/a.wav").read_bytes()[:9000])
    assert "truncated" in swc("encode", "in", *FAST, "--update", code=1).err
    assert Path("in/a.swc").read_bytes() == before


def test_decoded_files_are_updated(swc):
    record("in/a.wav")
    swc("encode", "in", "-o", "arch", *FAST)
    swc("decode", "arch", "-o", "back", *FAST[:2])
    Path("back/a.wav").write_bytes(b"not audio")
    assert "not readable" in swc("decode", "arch", "-o", "back", *FAST[:2], code=1).err
    swc("decode", "arch", "-o", "back", *FAST[:2], "--update")
    assert soundfile.info("back/a.wav").frames == 8000


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("encode", "a.wav", "outdir"), "outdir"),
        (("encode", "a.wav", "out.mp3"), "out.mp3"),
        (("encode", "a.wav", "no/such/"), "no/such/"),
        (("encode", "a.wav", "a.wav", "outdir"), "outdir"),
        (("encode", "a.wav", "b.wav", "c.swc"), "c.swc"),
        (("decode", "a.swc", "x.m4a"), "x.m4a"),
        (("decode", "a.swc", "outdir"), "outdir"),
        (("decode", "a.swc", "no/such/"), "no/such/"),
        (("decode", "a.swc", "a.swc", "b.wav"), "b.wav"),
    ],
)
def test_unusable_last_arguments_are_usage_errors(swc, stream, words, name):
    record("a.wav")
    Path("a.swc").write_bytes(stream) if words[0] == "decode" else None
    before = tree()
    result = swc(*words, code=2)
    assert result.err.startswith(f"swc: error: {name}: ") and result.err.count("\n") == 1
    assert tree() == before


def test_last_argument_may_be_a_folder(swc):
    record("a.wav")
    record("b.wav", 1)
    os.mkdir("out")
    swc("encode", "a.wav", "out", *FAST)
    swc("encode", "a.wav", "b.wav", "out/", *FAST)
    assert tree("out") == ["a.swc", "b.swc"]
    os.mkdir("back")
    swc("decode", "out/a.swc", "back", "--format", "flac", *FAST[:2])
    swc("decode", "out", "back", *FAST[:2])
    assert tree("back") == ["a.flac", "a.wav", "b.wav"]


def test_unreadable_audio_in_folders_is_named(swc, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    record("in/a.wav")
    Path("in/voice.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    Path("in/notes.txt").write_text("no audio")
    Path("in/film.MOV").write_bytes(bytes(100))
    Path("in/take.pcm").write_bytes(bytes(100))
    os.mkfifo("in/pipe.wav")
    Path("elsewhere").mkdir()
    Path("in/link").symlink_to("../elsewhere")
    result = swc("encode", "in", "-o", "out", *FAST, "--json", code=1)
    assert "in/voice.m4a: this format is decoded by ffmpeg, which is not installed" in result.err
    assert "in/pipe.wav: ignored, it is a named pipe" in result.err
    assert "in/take.pcm: ignored, it may be raw audio" in result.err
    assert "in/link: ignored, it is a link to a folder" in result.err
    assert "in/film.MOV: ignored, it is a video" in result.err
    assert "notes.txt" not in result.err
    assert "1 encoded, 1 failed, 4 ignored" in result.err
    assert sorted(entry["status"] for entry in result.records) == ["encoded", "failed"] + ["ignored"] * 4
    assert tree("out") == ["a.swc"]


def test_audio_is_decoded_through_ffmpeg(swc, monkeypatch):
    wav = record("piped.wav")
    Path("in").mkdir()
    Path("in/voice.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    Path("bin").mkdir()
    Path("bin/ffmpeg").write_text(f"#!/bin/sh\ncat {wav.resolve()}\n")
    Path("bin/ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", os.path.abspath("bin"), prepend=os.pathsep)
    swc("encode", "in", "-o", "out", "--abr", "3", *FAST)
    assert digest_in("out/voice.swc") == digest_of("in/voice.m4a")
    assert "up to date" in swc("encode", "in", "-o", "out", "--abr", "3", *FAST).err
    swc("decode", "out/voice.swc", "back.wav", *FAST[:2])
    assert soundfile.info("back.wav").frames == 8000


def test_dry_run_writes_nothing(swc, two_folders):
    swc("encode", "a/0001.wav", "-o", "out/", *FAST)
    before = tree()
    result = swc("encode", "a", "-o", "out", *FAST, "--dry-run")
    assert result.out.splitlines() == [
        "a/0001.wav -> out/0001.swc: up to date",
        "a/0002.wav -> out/0002.swc: would be encoded",
    ]
    assert "1 would be encoded, 1 up to date" in result.err
    result = swc("encode", "a", "-o", "out", *FAST, "--dry-run", "--kbps", "3", "--update", "--json")
    assert [(entry["status"], entry["overwrite"]) for entry in result.records] == [
        ("planned", True),
        ("planned", False),
    ]
    assert "other audio" in swc("encode", "b", "-o", "out", *FAST, "-n", code=1).err
    assert "would be decoded" in swc("decode", "out/0001.swc", "-n", *FAST[:2]).out
    assert tree() == before


def test_exclude(swc):
    for name in ("in/a.wav", "in/a_tmp.wav", "in/raw/b.wav", "in/deep/raw/c.wav", "in/deep/d.wav"):
        record(name)
    swc("encode", "in", "-o", "out", "--exclude", "*_tmp*", "--exclude", "raw", *FAST)
    assert tree("out") == ["a.swc", "deep/d.swc"]
    swc("encode", "in", "-o", "two", "--exclude", "deep/*", *FAST)
    assert tree("two") == ["a.swc", "a_tmp.swc", "raw/b.swc"]
    assert "0 encoded" in swc("encode", "in/deep", "-o", "no", "--exclude", "*.wav", *FAST).err


def test_lists_of_files(swc, two_folders):
    record("new\nline/[1].wav")
    Path("list").write_text("a/0001.wav\n\nb/0001.wav\nmissing.wav\n")
    result = swc("encode", "--files-from", "list", "--relative-to", ".", "-o", "out", *FAST, code=1)
    assert "missing.wav: no such file" in result.err
    names = b"new\nline/[1].wav\0b\0"
    swc("encode", "--files-from", "-", "-0", "--relative-to", ".", "-o", "out", *FAST, input=names)
    assert tree("out") == ["a/0001.swc", "b/0001.swc", "b/0002.swc", "new\nline/[1].swc"]
    assert "--files-from" in swc("encode", "a", "-0", code=2).err
    assert "cannot read" in swc("encode", "--files-from", "nothing", code=3).err
    assert "no inputs" in swc("encode", code=2).err
    assert "list" in swc("encode", "-", "--files-from", "-", code=2).err


def test_inputs_are_deleted_after_they_are_verified(swc, two_folders, monkeypatch):
    swc("encode", "a/0001.wav", "-o", "out/", *FAST)
    result = swc("encode", "a", "-o", "out", "--delete-input", *FAST)
    assert tree("a") == [] and tree("out") == ["0001.swc", "0002.swc"]
    assert "a/0001.wav: verified and deleted" in result.err
    assert "not standard input" in swc("encode", "-", "x.swc", "--delete-input", *FAST, code=2).err
    result = swc("encode", "b", "-o", "out", "--delete-input", *FAST, code=1)
    assert tree("b") == ["0001.wav", "0002.wav"]  # the outputs are of other recordings

    from switchcodec_cli.api import Codec

    class BadDisk:
        """Flips a bit of every packet."""

        def __init__(self, file):
            self._file = file

        def write(self, data):
            is_packet = data[:4] not in (b"\x89SWC", b"\xffEND")
            return self._file.write(bytes([*data[:-1], data[-1] ^ 1]) if is_packet else data)

    encoder = Codec.encoder
    monkeypatch.setattr(Codec, "encoder", lambda self, file, *rest: encoder(self, BadDisk(file), *rest))
    result = swc("encode", "b", "-o", "new", "--delete-input", *FAST, code=1)
    assert "b/0001.wav: not deleted, since new/0001.swc is damaged" in result.err
    assert tree("b") == ["0001.wav", "0002.wav"]


def test_impossible_parameters_are_reported_before_existing_outputs(swc, stream):
    record("a.wav")
    Path("a.swc").write_bytes(stream)
    assert "attainable" in swc("encode", "a.wav", "--kbps", "0.01", *FAST, code=2).err
    assert "exists already" in swc("encode", "a.wav", *FAST, code=2).err
    assert "unknown audio format" in swc("decode", "a.swc", "a.wav", "--format", "doc", code=2).err


def test_raw_samples(swc):
    record("a.wav", subtype="PCM_24")
    samples = Path("a.wav").read_bytes()[-3 * 8000 :]
    Path("in").mkdir()
    Path("in/a.pcm").write_bytes(samples)
    swc("encode", "-", "b.swc", "--raw", f"{RATE},1,s24le", *FAST, input=samples)
    swc("encode", "in", "-o", "out", "--raw", f"{RATE},1,PCM_24", *FAST)
    assert digest_in("out/a.swc") == digest_in("b.swc") == digest_of("a.wav")
    assert "up to date" in swc("encode", "in", "-o", "out", "--raw", f"{RATE},1,PCM_24", *FAST).err
    assert "other audio" in swc("encode", "in", "-o", "out", "--raw", f"{RATE},3,u8", *FAST, code=1).err
    assert "raw audio needs" in swc("encode", "in", "--raw", "CD", code=2).err


def test_every_command_has_a_version(swc):
    for words in (
        ["encode"],
        ["decode"],
        ["info"],
        ["verify"],
        ["eval"],
        ["train"],
        ["weights"],
        ["weights", "show"],
    ):
        assert swc(*words, "--version", own_weights=False).out.startswith("swc ")


def test_two_folders_interrupted_and_resumed_with_unreadable_files(process, swc, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    good, bad = [], []
    for number in range(40):
        name = f"{'ab'[number % 2]}/{number // 2:04}"
        kind = number // 5 if number % 5 == 0 else None  # every fifth is unreadable, in its own way
        if kind is None:
            format = ("wav", "flac", "mp3", "ogg")[number % 4]
            path = record(f"{name}.{format}", number, 90 if number == 12 else 0.3)
            good.append(path)
            continue
        path = Path(f"{name}.m4a" if kind == 0 else f"{name}.flac" if kind == 1 else f"{name}.wav")
        noise = np.full(4000, np.nan) if kind == 2 else np.zeros((4000, 6)) if kind == 3 else np.zeros(4000)
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, noise, RATE, format="FLAC" if kind == 1 else "WAV", subtype=None)
        if kind == 2:
            soundfile.write(path, noise, RATE, subtype="FLOAT")
        cuts = {1: 60, 4: 30, 5: 0, 6: 5000}
        if kind in cuts:
            os.truncate(path, cuts[kind])
        if kind in (0, 7):
            path.write_bytes(b"a letter, not a recording" if kind else b"\0\0\0\x20ftypM4A ")
        bad.append(path)

    run = process("encode", "a", "b", "-o", "arch", *FAST)
    deadline = time.monotonic() + 60
    while not list(Path("arch").rglob(".*.part")) and time.monotonic() < deadline:
        time.sleep(0.01)
    while not Path("arch/a/0004.swc").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    _, messages = run.communicate(timeout=60)
    assert run.returncode == 130
    last = messages.decode().splitlines()[-1]
    finished = len(list(Path("arch").rglob("[!.]*.swc")))
    reported = re.fullmatch(
        r"swc: interrupted: (\d+) of 40 files are done; run the same command again to continue", last
    )
    assert int(reported[1]) in (finished, finished - 1)  # the last one may have been done just then
    assert 0 < finished < 32 and not list(Path("arch").rglob("*.part"))

    result = swc("encode", "a", "b", "-o", "arch", *FAST, "--json", code=1)
    status = {entry["input"]: entry["status"] for entry in result.records}
    assert f"{32 - finished} encoded, {finished} up to date, 8 failed" in result.err
    assert len(good) == 32 and len(bad) == 8 and set(status) == {str(path) for path in (*good, *bad)}
    digests = {entry["input"]: entry["digest"] for entry in result.records if entry["status"] == "encoded"}
    for path in good:
        assert status[str(path)] in ("encoded", "skipped")
        if str(path) in digests:
            assert bytes.fromhex(digests[str(path)]["value"]) == digest_of(path).value
            is_lossy = path.suffix in (".mp3", ".ogg")
            assert digests[str(path)]["of"] == ("file" if is_lossy else "samples")
        assert digest_in(Path("arch", path).with_suffix(".swc")) == digest_of(path)
    for path in bad:
        assert status[str(path)] == "failed" and str(path) in result.err
    assert len(tree("arch")) == 32


def test_streams_without_a_digest_are_not_taken_for_done(swc):
    record("in/a.wav")
    shutil.copy(WEIGHTS.with_name("spectral_mono_2.swc"), "in/a.swc")  # of version 1.0
    os.utime("in/a.wav", (1, 1))
    for options in ((), ("--update",)):
        assert "does not say from which recording" in swc("encode", "in", *FAST, *options, code=1).err
    swc("encode", "in", *FAST, "--force")
    assert digest_in("in/a.swc") == digest_of("in/a.wav")


def test_batch_that_is_up_to_date_does_not_load_the_model(swc):
    record("in/a.wav")
    swc("encode", "in", *FAST)
    program = (
        "import sys\n"
        "from switchcodec_cli.cli import cli\n"
        "assert cli.main(sys.argv[1:], standalone_mode=False) == 0\n"
        "print('torch' in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, "encode", "in", *map(str, FAST)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert "1 up to date" in result.stderr and result.stdout == "False\n"


def test_named_pipes_in_folders_do_not_block_other_commands(swc, stream):
    Path("in").mkdir()
    Path("in/a.swc").write_bytes(stream)
    os.mkfifo("in/b.swc")
    for command in ("verify", "info"):
        assert swc(command, "in").err == "swc: in/b.swc: ignored, it is a named pipe\n"
    assert "in/b.swc: ignored" in swc("decode", "in", "-o", "out", "-n", own_weights=False).err
