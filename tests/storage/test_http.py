"""Recordings on a web server."""

from pathlib import Path
from urllib.parse import quote

NAMES = ("plain.wav", "with space.wav", "Übung.flac", "a#b.wav", "what?.wav", "100%.wav", "sub/deep [1].wav")


def contents(folder: str) -> dict[str, bytes]:
    found = (path for path in Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_files_and_listed_folders_are_encoded_and_decoded(swc, web, audio):
    for seed, name in enumerate(NAMES):
        audio.record(web.folder / "raw" / name, seed)
    swc("encode", web.folder / "raw", "-o", web.folder / "swc")
    swc("encode", f"{web.url}/raw/", "-o", "listed")
    assert contents("listed") == contents("www/swc")
    assert len(contents("listed")) == len(NAMES)
    for name in NAMES:
        url = f"{web.url}/raw/{quote(name)}"
        swc("encode", url, "-o", "single/")
        assert Path("single", Path(name).stem + ".swc").exists()
    stream = f"{web.url}/swc/{quote('a#b.swc')}"
    swc("verify", stream)
    swc("info", stream)
    swc("decode", stream, "a.wav")
    swc("decode", web.folder / "swc/a#b.swc", "b.wav")
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


def test_a_long_file_is_read_in_pieces(swc, web, audio):
    path = audio.record(web.folder / "long.flac", seconds=160)
    swc("encode", f"{web.url}/long.flac", "out.swc", "--no-tags", "--experts", "0")
    pieces = [wanted.removeprefix("bytes=").split("-") for _, wanted in web.requests if wanted]
    assert len(pieces) > 2
    assert max(int(last) - int(first) for first, last in pieces) < path.stat().st_size / 2


def test_a_server_without_ranges_sends_everything_once(swc, web, audio):
    audio.record(web.folder / "t.mp3", 1)
    swc("encode", web.folder / "t.mp3", "local.swc")
    web.has_ranges = False
    swc("encode", f"{web.url}/t.mp3", "remote.swc")
    assert Path("remote.swc").read_bytes() == Path("local.swc").read_bytes()


def test_a_failure_in_the_middle_is_an_error_not_the_end(swc, web, audio):
    for suffix in ("wav", "flac"):
        path = audio.record(web.folder / f"t.{suffix}", 1, seconds=120)
        web.fails_after = path.stat().st_size - 100_000
        result = swc("encode", f"{web.url}/{path.name}", "out.swc", "--no-tags", code=3)
        assert "the server answers with status 500" in result.err
        assert not Path("out.swc").exists()


def test_http_is_read_only(swc, web, audio):
    audio.record(web.folder / "a.wav")
    assert "is read only" in swc("encode", f"{web.url}/a.wav", code=2).err
    assert "is read only" in swc("encode", web.folder / "a.wav", f"{web.url}/a.swc", code=2).err


def test_errors_are_one_line(swc, web):
    assert "no such file or folder" in swc("encode", f"{web.url}/none.wav", "out.swc", code=3).err
    assert "cannot find the server" in swc("info", "https://host.invalid/a.swc", code=3).err
    assert "cannot connect to the server" in swc("info", "http://127.0.0.1:9/a.swc", code=3).err
