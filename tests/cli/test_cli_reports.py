"""The commands info, verify, weights, eval, train and completion, and the help of all commands."""

import importlib.util
import io
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest

from switchcodec_cli import __version__
from switchcodec_cli.bitstream import (
    SILENT,
    DigestKind,
    EncodingRequest,
    RateMode,
    SourceDigest,
    StreamReader,
    StreamWriter,
    Window,
    header_bytes,
)
from switchcodec_cli.cli import cli
from switchcodec_cli.cli.errors import describe
from switchcodec_cli.errors import SwcError
from switchcodec_cli.evaluation import measure
from switchcodec_cli.model.weights import load_weights, save_weights
from switchcodec_cli.model.weights_info import count_parameters, read_weights

HOSTILE = Path(__file__).parents[1] / "hostile"
COMMANDS = {
    " ".join([name, sub]).strip(): found
    for name, command in cli.commands.items()
    for sub, found in [("", command), *getattr(command, "commands", {}).items()]
}


def test_info_json(swc, stream):
    Path("a.swc").write_bytes(stream)
    record = swc("info", "a.swc", "--json", "--windows").records[0]
    bits = record["bits"]
    assert bits["payload"] + bits["side"] + bits["container"] == bits["total"] == 8 * len(stream)
    assert record["bytes"] == len(stream)
    assert record["kbps"] == pytest.approx(8e-3 * len(stream) / 4.2)
    assert record["ratio_to_pcm"] == pytest.approx(4.2 * 44100 * 4 / len(stream))
    assert record["tags"] == [["title", "A test"]] and record["asked_kbps"] == 5.33
    assert record["windows"] == len(record["window_list"]) == 5
    assert sum(map(sum, record["expert_use"])) == 5 * record["experts_per_window"]
    packets = sum(entry["bytes"] for entry in record["window_list"])
    assert packets < len(stream) and record["packet_kbps"] == pytest.approx(8e-3 * packets / 4.2)
    used = [len(signal["experts"]) for entry in record["window_list"] for signal in entry["signals"]]
    assert sum(used) == 5 * record["experts_per_window"]


def rewritten(stream, tags=(), source=None, request=None):
    """The windows of a stream in a new one, with other tags and additions."""
    reader = StreamReader(io.BytesIO(stream))
    file = io.BytesIO()
    writer = StreamWriter(file, replace(reader.header, tags=tags), request)
    for window in reader:
        writer.write(window)
    writer.close(source=source)
    return file.getvalue()


def test_info_of_source_request_and_repeated_tags(swc, stream):
    source = SourceDigest(DigestKind.FILE, bytes(range(16)))
    tags = (("artist", "A"), ("artist", "B"))
    Path("a.swc").write_bytes(rewritten(stream, tags, source, EncodingRequest(3, 6.5, 8000)))
    Path("b.swc").write_bytes(rewritten(stream))
    known, unknown = swc("info", "a.swc", "b.swc", "--json").records
    assert known["version"] == "1.1" and known["tags"] == [["artist", "A"], ["artist", "B"]]
    assert known["source"] == {"kind": "file", "digest": bytes(range(16)).hex()}
    assert known["request"] == {"effort": 3, "quality": 6.5, "max_kbps": 8}
    assert known["nominal_kbps"] == 5.33
    assert (unknown["source"], unknown["request"], unknown["tags"]) == (None, None, [])
    text = swc("info", "a.swc").out
    assert f"digest of the file {bytes(range(16)).hex()}" in text and "effort 3" in text


def test_info_of_a_single_sample(swc, files):
    files.write("a.wav", 1 / 44100)
    swc("encode", "a.wav")
    (record,) = swc("info", "a.swc", "--json").records
    assert record["samples"] == 1
    assert record["kbps"] is None and record["packet_kbps"] is None
    assert "too short for a rate" in swc("info", "a.swc").out


def test_info_and_verify_report_what_checksums_do_not_show(swc):
    """Indices out of range and padding other than zero."""
    for name in ("index_too_large", "padding_not_zero"):
        Path(f"{name}.swc").write_bytes((HOSTILE / f"{name}.swc").read_bytes())
        (seen,) = swc("info", f"{name}.swc", "--json", code=3).records
        (checked,) = swc("verify", f"{name}.swc", "--json", code=3).records
        assert len(seen["problems"]) == len(checked["problems"]) == 1
        assert checked["problems"][0]["reason"] in seen["problems"][0]


def test_many_problems_are_counted_not_listed(swc, stream):
    header = StreamReader(io.BytesIO(stream)).header
    file = io.BytesIO()
    writer = StreamWriter(
        file, replace(header, total_samples=None, rate_mode=RateMode.QUALITY, experts_total=None)
    )
    silent = Window(header.parameters.frames_per_window, (SILENT, SILENT))
    for _ in range(1100):
        writer.write(silent)
    writer.close(1100 * header.parameters.window_samples)
    data = bytearray(file.getvalue())
    for packet in range(1100):
        data[header_bytes(header) + 3 * packet + 1] ^= 1
    Path("a.swc").write_bytes(data)
    for command in ("info", "verify"):
        result = swc(command, "a.swc", code=3)
        assert result.out.count("wrong checksum") == 1000
        assert "and 100 more damaged windows" in result.out
        (record,) = swc(command, "a.swc", "--json", code=3).records
        assert (len(record["problems"]), record["unlisted_problems"]) == (1000, 100)


def test_names_that_are_not_text_are_valid_json(swc, stream):
    name = b"caf\xe9.swc".decode(errors="surrogateescape")
    try:
        Path(name).write_bytes(stream)
    except OSError:
        pytest.skip("the file system does not have such names")
    for command in ("info", "verify"):
        result = swc(command, name, "--json")
        assert result.records[0]["file"] == "caf\ufffd.swc"
        assert "\\udc" not in result.out


@pytest.mark.parametrize("command", ["info", "verify"])
def test_exit_codes_of_files(swc, stream, command):
    Path("good.swc").write_bytes(stream)
    Path("cut.swc").write_bytes(stream[:-30])
    Path("other.swc").write_bytes(b"RIFFnothing")
    for name in ("cut.swc", "other.swc", "missing.swc"):
        swc(command, name, code=3)
        swc(command, name, "good.swc", code=1)
    swc(command, "cut.swc", "other.swc", code=1)
    swc(command, "good.swc", "good.swc", code=0)
    assert "1 if" in swc(command, "--help").out or "or 1" in swc(command, "--help").out


def test_info_text(swc, stream):
    Path("a.swc").write_bytes(stream)
    text = swc("info", "a.swc", "--windows").out
    for part in ("4.20 s", "stereo (left and right)", "payload", "title = A test", "nominal 5.33 kbps"):
        assert part in text
    experts = [line for line in text.splitlines() if line.strip().startswith("expert ")]
    assert len(experts) == 16 and any("█" in line for line in experts)
    lines = text.splitlines()
    assert sum("shared" in line and "|" in line for line in lines) == 5
    assert swc("info", "-", input=stream).out.splitlines()[1:] == swc("info", "a.swc").out.splitlines()[1:]


def test_info_of_many_windows_fits_the_terminal(swc, files, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    files.write("a.wav", 80.0, rate=8000)
    swc("encode", "a.wav", "--experts", "2", "--effort", "0")
    lines = swc("info", "a.swc").out.splitlines()
    picture = [line for line in lines if line.strip().startswith(("expert", "bits  "))]
    assert max(map(len, picture[-9:])) <= 80


def test_info_of_damage(swc, stream):
    Path("a.swc").write_bytes(stream[:-30])
    Path("b.swc").write_bytes(stream)
    result = swc("info", "a.swc", code=3)
    assert "DAMAGE" in result.out
    assert "b.swc" in swc("info", "a.swc", "b.swc", code=1).out
    Path("c.swc").write_bytes(b"RIFFnothing")
    assert "c.swc: not a .swc stream" in swc("info", "c.swc", code=3).err


def test_info_plot(swc, stream):
    pytest.importorskip("matplotlib")
    Path("a.swc").write_bytes(stream)
    swc("info", "a.swc", "--plot", "a.png")
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    assert "exists already" in swc("info", "a.swc", "--plot", "a.png", code=2).err
    assert ".png" in swc("info", "a.swc", "--plot", "a.gif", code=2).err


def test_info_plot_without_matplotlib(swc, stream, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    Path("a.swc").write_bytes(stream)
    assert "switchcodec-cli[plot]" in swc("info", "a.swc", "--plot", "a.png", code=2).err


def test_verify(swc, stream):
    damaged = bytearray(stream)
    start, step = len(stream) - 200, len(stream) // 5
    damaged[start] ^= 1
    damaged[start - 2 * step] ^= 1
    Path("bad.swc").write_bytes(damaged)
    Path("good.swc").write_bytes(stream)
    result = swc("verify", "bad.swc", "good.swc", code=1)
    assert result.out.count("bad.swc: window") == 2
    assert "good.swc: OK (5 windows, 4.20 s)" in result.out
    records = swc("verify", "bad.swc", "good.swc", "missing.swc", "--json", code=1).records
    by_name = {record["file"]: record for record in records}
    assert by_name["good.swc"]["ok"] and not by_name["missing.swc"]["ok"]
    assert len(by_name["bad.swc"]["problems"]) == by_name["bad.swc"]["damaged"] == 2
    assert swc("verify", "good.swc", "--quiet").out == ""
    assert "OK" in swc("verify", "-", input=stream).out


def test_weights(swc, weights):
    record = json.loads(swc("weights", "show", weights, "--json").out)
    model, fingerprint, provenance = load_weights(weights)
    assert record["fingerprint"] == fingerprint.hex()
    assert record["config"] == json.loads(json.dumps(model.config.to_dict()))
    assert record["provenance"] == provenance == {"made": "by a test"}
    assert record["parameters"] == sum(values.numel() for values in model.state_dict().values())
    assert fingerprint.hex() in swc("weights", "show", weights).out
    assert fingerprint.hex() in swc("weights", "verify", weights).out
    swc("weights", "verify", weights, "--fingerprint", fingerprint.hex()[:8].upper())
    assert "not 00" in swc("weights", "verify", weights, "--fingerprint", "00", code=4).err
    assert f"{record['parameters'] / 1e6:.1f} M parameters" in swc("weights", "show", weights).out
    data = weights.read_bytes()
    Path("cut.safetensors").write_bytes(data[: len(data) // 2])
    for command in ("show", "verify"):
        assert "cut.safetensors" in swc("weights", command, "cut.safetensors", code=4).err
        assert "no such weights" in swc("weights", command, "nothing", code=4).err


def test_history_of_weights_is_shown_on_request(swc, weights):
    model = load_weights(weights).model
    runs = [{"steps": 100 * run, "minutes": float("nan"), "recipe": {"rate": run}} for run in range(1, 4)]
    save_weights(Path("long.safetensors"), model, {"data": "noise", "history": runs})
    short = swc("weights", "show", "long.safetensors").out
    assert "history = 3 training runs, 600 steps (--history shows them)" in short
    assert "recipe" not in short and "data = noise" in short
    assert swc("weights", "show", "long.safetensors", "--history").out.count("recipe") == 3
    text = swc("weights", "show", "long.safetensors", "--json").out

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    history = json.loads(text, parse_constant=refuse)["provenance"]["history"]
    assert [run["steps"] for run in history] == [100, 200, 300]
    assert history[0]["minutes"] is None


def test_parameters_are_counted_alike(swc, files, weights):
    """`weights` and `train` count the values that the file stores, codebooks included."""
    (line,) = [line for line in swc("weights", "list").out.splitlines() if line.startswith("default ")]
    record = json.loads(swc("weights", "show", "--json").out)
    assert f" {record['parameters'] / 1e6:.1f} M parameters" in line
    model = load_weights(weights).model
    assert count_parameters(model.state_dict()) == read_weights(weights).info.parameters


def test_eval(swc, files):
    files.write("set/a.wav", 2.0)
    options = ("--kbps", "2.67,8", "--no-pesq", "--no-stoi", "--no-visqol", "--phase-iterations", "1")
    result = swc("eval", "set", *options, "--json", "--quiet")
    assert result.err == ""
    (figures,) = result.records
    assert figures["metrics"] == ["mel", "stft", "si_sdr"]
    assert [row["asked_kbps"] for row in figures["files"]] == [2.67, 8]
    swc("encode", "set/a.wav", "--kbps", "8")
    swc("decode", "set/a.swc", "set/a.decoded.wav", "--subtype", "FLOAT", "--phase-iterations", "1")
    import soundfile

    reference, rate = soundfile.read("set/a.wav")
    expected = measure(reference, soundfile.read("set/a.decoded.wav")[0], rate, ["mel", "stft"])
    assert figures["files"][1]["scores"]["mel"] == pytest.approx(expected["mel"], abs=1e-4)
    assert figures["files"][1]["size"] == Path("set/a.swc").stat().st_size
    assert "Mel" in swc("eval", "set/a.wav", "--kbps", "8", *options[2:]).out
    assert "list of rates" in swc("eval", "set", "--kbps", "high", code=2).err


def test_exit_codes_of_eval(swc, files):
    options = (
        "--kbps",
        "2.67",
        "--no-pesq",
        "--no-stoi",
        "--no-visqol",
        "--phase-iterations",
        "0",
        "--quiet",
    )
    Path("set").mkdir()
    Path("set/bad.wav").write_bytes(b"not audio")
    swc("eval", "set/bad.wav", *options, code=3)
    Path("set/worse.wav").write_bytes(b"nor this")
    swc("eval", "set", *options, code=1)
    files.write("set/good.wav", 0.5)
    swc("eval", "set", *options, code=1)
    swc("eval", "set/good.wav", *options)
    impossible = ("--kbps", "0.1", *options[2:])
    assert "rate" in swc("eval", "set/good.wav", *impossible, code=2).err


def test_eval_of_groups_of_metrics(swc, files):
    files.write("set/a.wav", 1.0, channels=2)
    options = ("--kbps", "5.33", "--effort", "0", "--phase-iterations", "0")
    (figures,) = swc("eval", "set", *options, "--metrics", "stereo,level", "--json").records
    assert figures["metrics"] == ["level", "icld", "coherence"]
    scores = figures["files"][0]["scores"]
    assert scores["icld"] > 0 and 0 <= scores["coherence"] <= 1 and scores["level"] != 0
    table = swc("eval", "set", *options, "--metrics", "levels").out
    assert "1 kHz →0" in table and "16 kHz →0" in table and "…" not in table
    without = swc(
        "eval", "set", *options, "--metrics", "default", "--no-pesq", "--no-stoi", "--no-visqol", "--json"
    )
    assert without.records[0]["metrics"] == ["mel", "stft", "si_sdr"]
    assert "no metric is called 'loudness'" in swc("eval", "set", "--metrics", "loudness", code=2).err
    assert "'wer' needs transcripts" in swc("eval", "set", "--metrics", "wer", code=2).err


def test_eval_names_metrics_whose_packages_are_missing(swc, files, monkeypatch):
    found = importlib.util.find_spec
    missing = ("speechmos", "resemblyzer", "pocketsphinx", "librosa", "pesq", "pystoi")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in missing else found(name))
    files.write("set/a.wav", 0.5)
    options = ("--kbps", "2.67", "--effort", "0", "--phase-iterations", "0", "--metrics", "speech,mel")
    result = swc("eval", "set", *options)
    assert "dnsmos_p808, words, pitch, voicing (switchcodec-cli[eval])" in result.err.replace(
        "wer, wer_original, ", ""
    )
    assert "speaker (pip install --no-deps Resemblyzer)" in result.err
    assert "not installed: pesq, stoi, dnsmos" in result.out and "Mel" in result.out
    assert "needs the package 'speechmos'" in swc("eval", "set", "--metrics", "dnsmos", code=2).err
    assert (
        "needs the package 'speechmos'"
        in swc("eval", "set", "--no-reference", "--metrics", "dnsmos", code=2).err
    )


def test_eval_with_transcripts(swc, files):
    pytest.importorskip("pocketsphinx", reason="the word error rate needs pocketsphinx")
    speech = Path(__file__).parents[2] / "examples" / "speech.flac"
    Path("set").mkdir()
    Path("set/said.flac").write_bytes(speech.read_bytes())
    files.write("set/other.wav", 0.5)
    Path("texts").mkdir()
    Path("texts/said.txt").write_text("Whatever his gaze returned to: that crouched Venus on the piano.")
    options = ("--kbps", "2.67", "--effort", "0", "--phase-iterations", "0", "--metrics", "mel")
    result = swc("eval", "set", *options, "--transcripts", "texts", "--json")
    scores = {Path(row["file"]).stem: row["scores"] for row in result.records[0]["files"]}
    assert scores["said"]["wer_original"] == 1 / 11 and scores["said"]["wer"] > 0.5  # of random weights
    assert scores["other"]["wer"] is None
    assert "other.wav: has no transcript" in result.err and "said.flac: has" not in result.err
    assert "no such file" in swc("eval", "set", "--transcripts", "none", code=3).err


def test_eval_without_reference(swc, files):
    for name in ("speechmos", "onnxruntime", "librosa"):
        pytest.importorskip(name, reason="DNSMOS needs speechmos, onnxruntime and librosa")
    files.write("gone/a.wav", 2.3)  # repeated to fill one window of DNSMOS
    swc("encode", "gone/a.wav", "gone/b.swc", "--kbps", "8")
    swc("decode", "gone/b.swc", "gone/b.wav", "--subtype", "FLOAT")
    result = swc("eval", "gone", "--no-reference", "--json")
    (figures,) = result.records
    assert figures["metrics"] == ["dnsmos", "dnsmos_sig", "dnsmos_bak", "dnsmos_p808"]
    by_name = {Path(row["file"]).name: row["scores"] for row in figures["files"]}
    assert (
        by_name["b.swc"] == pytest.approx(by_name["b.wav"], abs=1e-3) and by_name["a.wav"] != by_name["b.wav"]
    )
    Path("gone/bad.wav").write_bytes(b"not audio")
    text = swc("eval", "gone", "--no-reference", "--metrics", "dnsmos_p808", code=1)
    assert "P.808 ↑" in text.out and "mean" in text.out and "bad.wav" in text.err
    assert "--kbps are mutually exclusive" in swc("eval", "gone", "--no-reference", "--kbps", "8", code=2).err
    assert "'mel' needs the original" in swc("eval", "gone", "--no-reference", "--metrics", "mel", code=2).err


def test_eval_sweep(swc, files):
    files.write("set/a.wav", 1.2)
    plot = ("--plot", "curves.svg") if importlib.util.find_spec("matplotlib") else ()
    options = ("--no-pesq", "--no-stoi", "--no-visqol", "--phase-iterations", "0")
    result = swc("eval", "set", "--sweep", "--kbps", "2.67", "--effort", "0", *options, *plot, "--json")
    (figures,) = result.records
    curves = [(mean["curve"], mean["setting"]) for mean in figures["means"]]
    assert curves == [
        *((f"constant, effort {effort}", "2.67") for effort in range(4)),
        ("average, effort 0", "2.67"),
        *(("quality, effort 0", f"Q {quality}") for quality in ("0", "2.5", "5", "7.5", "10")),
    ]
    sizes = [row["size"] for row in figures["files"]]
    assert sizes[4] * 8 / 1.2 <= 2670 and sizes[5:] == sorted(sizes[5:])
    assert not plot or b"quality, effort 0" in Path("curves.svg").read_bytes()


def test_train_and_resume(swc, files):
    for name in ("data/speech/a.wav", "data/music/b.flac"):
        files.write(name, 6.0)
    Path("tiny.toml").write_text(
        "[model]\nlatent_dimension = 8\n"
        "[model.spectral]\nwidth = 16\nencoder_blocks = 1\ndecoder_blocks = 1\n"
        "[model.quantizer]\ncodebook_size = 16\nexperts = 2\ncodebooks = 1\n"
        "[data]\nbatch_size = 2\nsegment_frames = 16\n"
        "[loss]\nmel_bands = [20]\n"
    )
    budget = ("--steps", "3", "--no-compile", "--device", "cpu", "--cache", "cache")
    first = swc("train", "data", "--run", "one", "--config", "tiny.toml", *budget)
    assert "weights in one/weights.safetensors after 3 steps" in first.out and "one/log.csv" in first.out
    stored = json.loads(swc("weights", "show", "one/weights.safetensors", "--json").out)["parameters"]
    assert f", {stored / 1e6:.1f} M parameters" in first.out
    second = swc("train", "data", "--run", "two", "--resume", "one/weights.safetensors", *budget)
    assert "decoding" in first.out and "decoding" not in second.out  # the cache is current
    files.write("c.wav", 0.5)
    swc("encode", "c.wav", "--weights", "two/weights.safetensors")
    history = load_weights(Path("two/weights.safetensors"))[2]["history"]
    assert [run["steps"] for run in history] == [3, 3]


def test_invalid_arguments_of_train(swc):
    assert "--minutes or --steps" in swc("train", ".", "--run", "run", code=2).err
    assert "no such folder" in swc("train", "nothing", "--run", "run", "--steps", "1", code=2).err
    Path("bad.toml").write_text("[model]\nlayers = 3\n")
    assert "layers" in swc("train", ".", "--run", "r", "--steps", "1", "--config", "bad.toml", code=2).err
    assert "no audio files" in swc("train", ".", "--run", "r", "--steps", "1", "--cache", "c", code=2).err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(swc, shell):
    assert "_SWC_COMPLETE" in swc("completion", shell).out


def test_help_lists_all_options_and_its_examples_are_valid(swc):
    for name, command in COMMANDS.items():
        text = swc(*name.split(), "--help").out
        assert command.help.split("\n")[0] in " ".join(text.split())
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (name, parameter.name)
                assert all(option in text for option in parameter.opts), (name, parameter.opts)
        for example, description in getattr(command, "examples", ()):
            assert description.split()[0] in text
            words = shlex.split(example.replace("|", " | ").replace("$(", "").replace(">", "| "))
            start = words.index("swc") if "swc" in words else words.index("swc completion bash)")
            call = words[start].rstrip(")").split() + words[start + 1 :]
            call = call[1 : call.index("|")] if "|" in call else call[1:]
            found = COMMANDS[" ".join(call[: len(name.split())])] if call[: len(name.split())] else command
            arguments = call[len(name.split()) :]
            found.make_context(name, arguments, resilient_parsing=False)
        assert len(getattr(command, "examples", ())) >= (0 if isinstance(command, click.Group) else 1)


def test_help_documents_exit_codes_and_commands(swc):
    text = swc("--help").out
    for code in ("0 ", "1 ", "2 ", "3 ", "4 ", "5 ", "130 ", "141 ", "143 "):
        assert f"\n  {code}" in text
    assert all(f"\n  {name} " in text for name in cli.commands)
    assert swc(code=2).out == text
    assert swc("--version").out == f"swc {__version__}\n"


def test_usage_errors_are_one_line(swc):
    for words in (
        ("encode",),
        ("encode", "--nothing"),
        ("nothing",),
        ("--nothing",),
        ("info", "a", "--plot"),
    ):
        result = swc(*words, code=2)
        assert result.err.startswith("swc: error: ") and result.err.count("\n") == 1, words


def test_debug_prints_the_traceback(weights):
    from click.testing import CliRunner

    for words in (["--debug", "verify-nothing"], ["decode", "nothing.swc", "--debug"]):
        result = CliRunner().invoke(cli, words)
        assert result.exit_code in (2, 3) and "Traceback" in result.output


def test_messages_of_unexpected_errors_mention_the_traceback():
    assert describe(ZeroDivisionError("x"), "a.wav") == (
        "a.wav: unexpected error: ZeroDivisionError: x (--debug shows the traceback)"
    )
    assert describe(SwcError("bad")) == "bad"
    assert (
        describe(FileNotFoundError(2, "No such file or directory", "a.wav"))
        == "a.wav: no such file or directory"
    )
