"""Against a real server on this machine; what it sent is counted."""

import hashlib
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fileserver import FileServer, serve

from lbkd.datasets import fetch as module
from lbkd.datasets.fetch import fetch
from lbkd.datasets.sources import Source
from lbkd.errors import ConfigError, DataError

BODY = bytes(range(256)) * 1200
SIZE = len(BODY)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serve() as state:
        state.files["file.json"] = BODY
        yield state


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES", (0.0, 0.0))


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "file.json.part"


def source(server: FileServer | None = None, body: bytes = BODY) -> Source:
    address = f"{server.address if server else 'http://127.0.0.1:9'}/file.json"
    return Source(address, len(body), hashlib.sha256(body).hexdigest(), {"": "file.json"})


def get(server: FileServer, part: Path, *moods: dict[str, Any]) -> list[tuple[int, int, int]]:
    """Fetch from a server in these moods; of each answer: the byte asked for, status, and bytes sent."""
    server.moods[:] = moods
    fetch(source(server), part, None, lambda *_: None)
    assert part.read_bytes() == BODY
    return [(sent.start, sent.status, sent.bytes) for sent in server.log]


def refused(server: FileServer, part: Path, *moods: dict[str, Any]) -> str:
    """The message when a server in these moods cannot be borne."""
    server.moods[:] = moods
    with pytest.raises(DataError) as caught:
        fetch(source(server), part, None, lambda *_: None)
    assert f"{server.address}" in str(caught.value)
    return str(caught.value)


def test_honest(server: FileServer, part: Path) -> None:
    assert get(server, part) == [(0, 200, SIZE)]


def test_progress_is_told_up_to_the_end(server: FileServer, part: Path) -> None:
    told: list[tuple[Any, ...]] = []
    server.moods[:] = [{"stop": 1000}]
    fetch(source(server), part, None, lambda *args: told.append(args))
    assert {(name, size) for name, _, size, _ in told} == {("file.json", SIZE)}
    here = [have for _, have, *_ in told]
    assert here == sorted(here)
    assert (here[-1], 1000 in here) == (SIZE, True)


def test_goes_on_at_the_very_byte(server: FileServer, part: Path) -> None:
    moods = {"stop": 1000}, {"stop": 5}, {"stop": 0}
    assert get(server, part, *moods) == [
        (0, 200, 1000),
        (1000, 206, 5),
        (1005, 206, 0),
        (1005, 206, SIZE - 1005),
    ]


def test_goes_on_in_another_process_after_a_kill(server: FileServer, part: Path) -> None:
    code = f"""
from pathlib import Path
from lbkd.datasets.fetch import fetch
from lbkd.datasets.sources import Source
fetch(Source({source(server).address!r}, {SIZE}, "", {{}}), Path({str(part)!r}), None, lambda *_: None)
"""
    server.moods[:] = [{"stop": 777, "hang": 60}]
    deadline = time.monotonic() + 0.8 * module._TIMEOUT  # before the silence is noticed
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        while not (part.exists() and part.stat().st_size == 777):
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
    server.log.clear()
    assert get(server, part) == [(777, 206, SIZE - 777)]


def test_nothing_is_sent_for_a_file_that_is_here(server: FileServer, part: Path) -> None:
    part.write_bytes(BODY)
    assert get(server, part) == []


def test_more_than_the_file_is_here(server: FileServer, part: Path) -> None:
    part.write_bytes(BODY + b"x")
    assert get(server, part) == [(SIZE + 1, 416, 0), (0, 200, SIZE)]


@pytest.mark.parametrize(
    ("mood", "answers"),
    [
        ({"ranges": False}, [(0, 200, 1000), (1000, 200, SIZE)]),
        ({"ranges": "wrong"}, [(0, 200, 1000), (1000, 206, SIZE - 500), (0, 200, SIZE)]),
        ({"status": 416}, [(0, 200, 1000), (1000, 416, SIZE), (0, 200, SIZE)]),
    ],
)
def test_begins_anew_where_it_cannot_go_on(
    server: FileServer, part: Path, mood: dict[str, Any], answers: list[tuple[int, int, int]]
) -> None:
    found = get(server, part, {"stop": 1000}, mood)
    assert [(start, status) for start, status, _ in found] == [
        (start, status) for start, status, _ in answers
    ]
    assert found[-1] == answers[-1]


def test_pieces_of_two_files_are_not_put_together(server: FileServer, part: Path) -> None:
    other = bytes(SIZE)
    assert get(server, part, {"body": other, "stop": 1000}) == [
        (0, 200, 1000),
        (1000, 206, SIZE - 1000),
        (0, 200, SIZE),
    ]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_tries_again(server: FileServer, part: Path, status: int) -> None:
    assert get(server, part, {"status": status}, {"status": status})[-1] == (0, 200, SIZE)
    assert [sent.status for sent in server.log] == [status, status, 200]


def test_patience_is_for_failures_in_a_row(server: FileServer, part: Path) -> None:
    moods = [{"status": 500}, {"stop": 10}] * 4
    assert len(get(server, part, *moods)) == 9


def test_gives_up_and_keeps_what_came(server: FileServer, part: Path) -> None:
    message = refused(server, part, {"stop": 10}, *[{"status": 503}] * 3)
    assert "503 Service Unavailable; 2 more tries" in message
    assert "10 of 307,200 bytes are here and kept" in message
    assert len(server.log) == 4
    assert part.read_bytes() == BODY[:10]


def test_a_server_that_never_lets_a_file_through(server: FileServer, part: Path) -> None:
    message = refused(server, part, *[{"stop": 1000, "ranges": False}] * 9)
    assert "1,000 of 307,200 bytes are here" in message
    assert len(server.log) == 4


def test_silence_is_a_failure(server: FileServer, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 0.1)
    assert get(server, part, {"silence": 0.5})[-1] == (0, 200, SIZE)
    assert len(server.log) == 2


def test_nobody_there(part: Path) -> None:
    with pytest.raises(DataError, match=r"127.0.0.1:9/file.json: .*refused.*; 2 more tries .*\n0 of 307,200"):
        fetch(source(), part, None, lambda *_: None)
    assert not part.exists()


@pytest.mark.parametrize("status", [401, 403, 404, 410, 501])
def test_a_refusal_is_final(server: FileServer, part: Path, status: int) -> None:
    message = refused(server, part, {"status": status})
    assert f"the answer was {status} " in message
    assert "--mirror" in message
    assert len(server.log) == 1
    assert not part.exists()


def test_follows_redirects(server: FileServer, part: Path) -> None:
    away = {"status": 302, "headers": {"Location": f"{server.address}/elsewhere/file.json"}, "body": b""}
    assert get(server, part, away, {"stop": 7}, away) == [
        (0, 302, 0),
        (0, 200, 7),
        (7, 302, 0),
        (7, 206, SIZE - 7),
    ]


def test_redirects_without_end_or_to_nowhere(server: FileServer, part: Path) -> None:
    home = {"status": 302, "headers": {"Location": f"{server.address}/file.json"}, "body": b""}
    assert "redirect" in refused(server, part, *[home] * 30)
    ftp = {"status": 302, "headers": {"Location": "ftp://127.0.0.1/file.json"}, "body": b""}
    assert "ftp://" in refused(server, part, ftp)


def test_a_web_page_instead(server: FileServer, part: Path) -> None:
    page = {"body": b"<!DOCTYPE html>", "headers": {"Content-Type": "text/html; charset=utf-8"}}
    assert "a web page came instead of file.json" in refused(server, part, page)
    assert not part.exists()


@pytest.mark.parametrize("length", [10, SIZE - 1, SIZE + 1, 10**12])
def test_a_false_length(server: FileServer, part: Path, length: int) -> None:
    message = refused(server, part, {"length": length})
    assert f"expected: 307,200 bytes\n  found:    {length:,} bytes" in message
    assert not part.exists()


def test_a_false_length_of_the_rest(server: FileServer, part: Path) -> None:
    assert "found:    1,017 bytes" in refused(server, part, {"stop": 1000}, {"length": 17})


def test_no_length_at_all(server: FileServer, part: Path) -> None:
    moods = {"length": None, "stop": 1000}, {"length": None}
    assert get(server, part, *moods) == [(0, 200, 1000), (1000, 206, SIZE - 1000)]


def test_more_bytes_than_the_file_has(server: FileServer, part: Path) -> None:
    message = refused(server, part, {"length": None, "body": BODY + b"x" * 10})
    assert "expected: 307,200 bytes\n  found:    more" in message
    assert not part.exists()


def test_other_bytes(server: FileServer, part: Path) -> None:
    other = BODY[:-1] + b"x"
    server.files["file.json"] = other
    message = refused(server, part)
    assert f"expected: sha256 {hashlib.sha256(BODY).hexdigest()}" in message
    assert f"found:    sha256 {hashlib.sha256(other).hexdigest()}" in message
    assert len(server.log) == 1
    assert not part.exists()
    refused(server, part, {"stop": 1000})  # from pieces: once more from the start, then no more
    assert [sent.start for sent in server.log[1:]] == [0, 1000, 0]


def test_another_address(server: FileServer, part: Path) -> None:
    fetch(source(), part, f"{server.address}/", lambda *_: None)
    assert part.read_bytes() == BODY


def test_a_folder(part: Path, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    file = tmp_path / "mirror" / "file.json"
    told: list[int] = []

    def copy() -> None:
        fetch(source(), part, str(file.parent), lambda name, have, *_: told.append(have))

    with pytest.raises(DataError, match="mirror/file.json: no such file"):
        copy()
    for other in (BODY + b"x", BODY[:-1] + b"x"):
        file.write_bytes(other)
        with pytest.raises(DataError, match=hashlib.sha256(other).hexdigest()):
            copy()
        assert not part.exists()
    part.write_bytes(b"begun elsewhere")
    file.write_bytes(BODY)
    copy()
    assert (part.read_bytes(), file.read_bytes(), told) == (BODY, BODY, [SIZE])


@pytest.mark.parametrize("mirror", ["nowhere", "ftp://127.0.0.1/", ""])
def test_no_mirror(part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="neither a folder nor an http"):
        fetch(source(), part, mirror or "nowhere else", lambda *_: None)


@pytest.mark.parametrize("mirror", ["http://", "http://[", "http://127.0.0.1:port/"])
def test_no_address(part: Path, mirror: str) -> None:
    with pytest.raises(DataError, match="file.json: "):
        fetch(source(), part, mirror, lambda *_: None)


def test_full_disk(server: FileServer, part: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            fetch(source(server), part, None, lambda *_: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert part.read_bytes() == BODY[: part.stat().st_size]
    server.log.clear()
    assert get(server, part) == [(100_000, 206, SIZE - 100_000)]
