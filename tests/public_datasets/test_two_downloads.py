"""Two downloads of one dataset into one folder, at the same time."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lbkd import locks
from lbkd.datasets.download import download
from lbkd.datasets.sources import PublicDataset, Source


def test_the_second_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_BETWEEN_ATTEMPTS", 0.01)
    mirror, out, body = tmp_path / "mirror", tmp_path / "out", b"{}" * 1000
    mirror.mkdir()
    (mirror / "a.json").write_bytes(body)
    source = Source("https://nowhere/a.json", len(body), hashlib.sha256(body).hexdigest(), {"": "a.json"})
    data = PublicDataset("mine", "free", (source,), {})
    arrived, waited, notes = threading.Event(), threading.Event(), []

    def progress(*_: object) -> None:
        arrived.set()
        assert waited.wait(60)

    def note(message: str) -> None:
        notes.append(message)
        waited.set()

    with ThreadPoolExecutor() as pool:
        first = pool.submit(download, data, out, str(mirror), progress)
        assert arrived.wait(60)
        second = pool.submit(download, data, out, str(mirror), lambda *_: None, note=note)
        states = [[file.state for file in each.result()] for each in (first, second)]
    assert states == [["new"], ["kept"]]
    assert [f"which works on {out / 'mine.manifest.json'}" in note for note in notes] == [True]
    assert {path.name for path in out.iterdir()} == {"a.json", "mine.manifest.json"}
