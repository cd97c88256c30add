"""What arrives, where it is put, and what a second call does; from a real server on this machine."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from archives import PACKERS, packed_zip
from fileserver import FileServer, serve

from lbkd.datasets import download as module
from lbkd.datasets import fetch
from lbkd.datasets.download import download
from lbkd.datasets.sources import PublicDataset, Source
from lbkd.errors import DataError

FILES = {"pack/a.json": b'{"a": 1}' * 1000, "pack/inner/b.json": b'{"b": 2}' * 500, "pack/LICENSE": b"free"}
PLACES = {"pack/a.json": "set/a.json", "pack/inner/b.json": "set/deep/b.json"}
DIRECT = b'{"c": 3}' * 2000


Serving = Callable[..., PublicDataset]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr(fetch, "_PAUSES", (0.0, 0.0))
    with serve() as state:
        yield state


@pytest.fixture
def serving(server: FileServer) -> Serving:
    """Puts an archive and a plain file on the server; the dataset of them."""

    def put(archive: bytes = packed_zip(FILES), name: str = "pack.zip") -> PublicDataset:
        server.files |= {name: archive, "direct.json": DIRECT}
        sources = tuple(
            Source(f"{server.address}/{name}", len(body), hashlib.sha256(body).hexdigest(), places)
            for name, body, places in (
                ("direct.json", DIRECT, {"": "set/c.json"}),
                (name, archive, PLACES),
            )
        )
        return PublicDataset("mine", "free", sources, {"set/lbkd.toml": "[corpus]\n"})

    return put


def brought(data: PublicDataset, out: Path, mirror: str | None = None, overwrite: bool = False) -> list[str]:
    """The states of direct.json, a.json and b.json after a download, whose content is checked."""
    placed = download(data, out, mirror, lambda *_: None, overwrite)
    bodies = [DIRECT, *(FILES[member] for member in PLACES)]
    assert [file.path for file in placed] == [out / "set/c.json", *(out / place for place in PLACES.values())]
    for file, body in zip(placed, bodies, strict=True):
        assert file.path.read_bytes() == body
        assert (file.size, file.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert (out / "set/lbkd.toml").exists()
    assert not list(out.rglob("*.part"))
    return [file.state for file in placed]


@pytest.mark.parametrize("name", PACKERS)
def test_everything_arrives(serving: Serving, tmp_path: Path, name: str) -> None:
    out = tmp_path / "new" / "data"
    assert brought(serving(PACKERS[name](FILES), name), out) == ["new"] * 3
    here = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert here == {"mine.manifest.json", "set/a.json", "set/c.json", "set/deep/b.json", "set/lbkd.toml"}


def test_the_manifest(serving: Serving, server: FileServer, tmp_path: Path) -> None:
    brought(serving(), tmp_path)
    manifest = json.loads((tmp_path / "mine.manifest.json").read_text())
    assert list(manifest) == ["set/c.json", "set/a.json", "set/deep/b.json"]
    entry = manifest["set/deep/b.json"]
    moment = datetime.fromisoformat(entry.pop("date"))
    assert timedelta() <= datetime.now(UTC) - moment < timedelta(minutes=2)
    body = FILES["pack/inner/b.json"]
    assert entry == {
        "address": f"{server.address}/pack.zip",
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def test_a_second_call_transfers_nothing_and_changes_nothing(
    serving: Serving, server: FileServer, tmp_path: Path
) -> None:
    data = serving()
    brought(data, tmp_path)
    (tmp_path / "set/lbkd.toml").write_text("[corpus]\nlimit = 3\n")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.*")}
    server.log.clear()
    assert brought(data, tmp_path) == ["kept"] * 3
    assert server.log == []
    assert before == {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.*")}


def test_what_was_changed_is_replaced_if_asked_and_no_more(
    serving: Serving, server: FileServer, tmp_path: Path
) -> None:
    data = serving()
    brought(data, tmp_path)
    (tmp_path / "set/deep/b.json").write_bytes(b"damaged")
    untouched = (tmp_path / "set/a.json").stat().st_mtime_ns
    server.log.clear()
    for place in ("set/c.json", "set/a.json"):
        (tmp_path / place).rename(tmp_path / "aside")
        with pytest.raises(
            DataError, match="1 of 3 files are there, and not as lbkd wrote them:\n.*b.json\nMove"
        ):
            brought(data, tmp_path)
        (tmp_path / "aside").rename(tmp_path / place)
    assert server.log == []  # all files or none
    assert brought(data, tmp_path, overwrite=True) == ["kept", "kept", "replaced"]
    assert [sent.name for sent in server.log] == ["pack.zip"]
    assert (tmp_path / "set/a.json").stat().st_mtime_ns == untouched
    (tmp_path / "set/c.json").unlink()
    (tmp_path / "set/a.json").unlink()
    assert brought(data, tmp_path) == ["new", "new", "kept"]


def test_a_file_of_somebody_else_is_not_touched(serving: Serving, server: FileServer, tmp_path: Path) -> None:
    for place in ("set/c.json", "set/deep/b.json"):
        out = tmp_path / place.replace("/", "_")
        (out / place).parent.mkdir(parents=True)
        (out / place).write_text("mine")
        with pytest.raises(DataError, match=f"not as lbkd wrote them:\n.*{place}\n"):
            download(serving(), out, None, lambda *_: None)
        assert (out / place).read_text() == "mine"
    assert server.log == []


def test_a_known_file_is_adopted(serving: Serving, server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/c.json").write_bytes(DIRECT)
    assert brought(serving(), tmp_path) == ["kept", "new", "new"]
    assert [sent.name for sent in server.log] == ["pack.zip"]
    assert "set/c.json" in json.loads((tmp_path / "mine.manifest.json").read_text())


@pytest.mark.parametrize(
    "damaged",
    [
        *("", "[]", '{"set/c.json": 3}', "\xff"),
        *(('"sha256": "', '"sha256": "0'), ('"size": ', '"size": 1')),
    ],
)
def test_a_damaged_manifest_is_written_anew(
    serving: Serving, server: FileServer, tmp_path: Path, damaged: str | tuple[str, str]
) -> None:
    data, manifest = serving(), tmp_path / "mine.manifest.json"
    only = replace(data, sources=data.sources[:1])
    [before] = download(only, tmp_path, None, lambda *_: None)
    good = manifest.read_text()
    text = damaged if isinstance(damaged, str) else good.replace(*damaged)
    manifest.write_bytes(text.encode("latin-1"))
    assert download(only, tmp_path, None, lambda *_: None) == (replace(before, state="kept"),)
    entries = [json.loads(each)["set/c.json"] for each in (manifest.read_text(), good)]
    assert len({(entry["address"], entry["size"], entry["sha256"]) for entry in entries}) == 1
    assert len(server.log) == 1


def test_broken_off_and_continued(serving: Serving, server: FileServer, tmp_path: Path) -> None:
    data = serving()
    server.moods[:] = [{}, {"stop": 50}, *[{"status": 500}] * 3]
    with pytest.raises(DataError, match="pack.zip: the answer was 500 "):
        download(data, tmp_path, None, lambda *_: None)
    assert (tmp_path / "set/c.json").read_bytes() == DIRECT  # what was whole is in place
    assert not (tmp_path / "set/a.json").exists()
    assert (tmp_path / "pack.zip.part").stat().st_size == 50
    server.log.clear()
    assert brought(data, tmp_path) == ["kept", "new", "new"]
    assert [(sent.name, sent.start) for sent in server.log] == [("pack.zip", 50)]


@pytest.mark.parametrize("after", ["_unpack", "write_json", "_rename", "sync_folder"])
def test_stopped_between_any_two_steps(
    serving: Serving, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """As after a kill: the next call fetches nothing a second time and ends where it would have."""
    data = serving()
    data = replace(data, sources=data.sources[1:])
    step = getattr(module, after)

    def stop(*arguments: object) -> None:
        step(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, after, stop)
        with pytest.raises(KeyboardInterrupt):
            download(data, tmp_path, None, lambda *_: None)
    for member, place in PLACES.items():
        assert not (tmp_path / place).exists() or (tmp_path / place).read_bytes() == FILES[member]
    placed = download(data, tmp_path, None, lambda *_: None)
    assert [file.path.read_bytes() for file in placed] == [FILES[member] for member in PLACES]
    assert len(server.log) == 1
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("name", PACKERS)
def test_no_name_in_an_archive_leads_outside(serving: Serving, tmp_path: Path, name: str) -> None:
    odd = {"../evil.json": b"x", "/evil.json": b"x", "pack/../../set/evil.json": b"x", "set/c.json": b"x"}
    out = tmp_path / "data"
    brought(serving(PACKERS[name]({**odd, **FILES}), name), out)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert not list(tmp_path.rglob("evil*"))
    assert not Path("/evil.json").exists()


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("target", ["/etc/passwd", "LICENSE", "../../c.json"])
def test_links_are_not_followed(serving: Serving, tmp_path: Path, name: str, target: str) -> None:
    fewer = {member: body for member, body in FILES.items() if member != "pack/a.json"}
    archive = PACKERS[name](fewer, {"pack/a.json": target})
    with pytest.raises(DataError, match="has no regular file pack/a.json; nothing was unpacked"):
        download(serving(archive, name), tmp_path, None, lambda *_: None)
    assert {path.name for path in (tmp_path / "set").iterdir()} == {"c.json", "deep"}
    assert not list((tmp_path / "set/deep").iterdir())


@pytest.mark.parametrize("name", PACKERS)
def test_names_may_begin_with_a_dot(serving: Serving, tmp_path: Path, name: str) -> None:
    archive = PACKERS[name]({f"./{member}": body for member, body in FILES.items()})
    assert brought(serving(archive, name), tmp_path) == ["new"] * 3


@pytest.mark.parametrize("name", PACKERS)
def test_what_unpacks_to_too_much_is_refused(
    serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole = sum(len(FILES[member]) for member in PLACES)
    data = serving(PACKERS[name](FILES), name)
    monkeypatch.setattr(module, "_LARGEST", whole - 1)
    with pytest.raises(DataError, match=f"unpacks to more than {whole - 1:,} bytes"):
        download(data, tmp_path, None, lambda *_: None)
    assert not [path for path in (tmp_path / "set").rglob("*") if path.is_file() and path.name != "c.json"]
    monkeypatch.setattr(module, "_LARGEST", whole)
    assert brought(data, tmp_path) == ["kept", "new", "new"]


def test_what_is_lacking_does_not_stop_the_rest(serving: Serving, server: FileServer, tmp_path: Path) -> None:
    data = serving()
    del server.files["direct.json"]
    with pytest.raises(DataError, match="other 2 files of mine are in .*:\n  set/c.json: "):
        download(data, tmp_path, None, lambda *_: None)
    server.files["direct.json"] = DIRECT
    assert brought(data, tmp_path) == ["new", "kept", "kept"]


def test_a_mirror_folder(serving: Serving, server: FileServer, tmp_path: Path) -> None:
    data = serving()
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name, body in server.files.items():
        (mirror / name).write_bytes(body)
    assert brought(data, tmp_path / "data", str(mirror)) == ["new"] * 3
    assert server.log == []
    manifest = json.loads((tmp_path / "data/mine.manifest.json").read_text())
    assert manifest["set/c.json"]["address"] == f"{server.address}/direct.json"
    assert {path.name: path.read_bytes() for path in mirror.iterdir()} == server.files


def test_a_file_where_a_folder_must_be(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "set").write_text("")
    with pytest.raises(DataError, match="set.*; what has arrived is kept"):
        download(serving(), tmp_path, None, lambda *_: None)


def test_a_full_disk(serving: Serving, server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "direct.json.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"No space left on device\. Files of up to 16,000 bytes"):
        download(serving(), tmp_path, None, lambda *_: None)
    assert not (tmp_path / "set").exists()
