import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from archives import packed_tar
from fileserver import FileServer, serve

from lbkd.config import BUILTIN_CORPUS
from lbkd.datasets import fetch, sources
from lbkd.datasets.sources import DATASETS, Source
from lbkd.settings import load_settings


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Serves what ships as SQuAD and its translations, under the official names."""
    monkeypatch.setattr(fetch, "_PAUSES", (0.0, 0.0))
    with serve() as state:
        for split, source in (("train", "train"), ("dev", "test")):
            state.files[f"{split}-v1.1.json"] = (BUILTIN_CORPUS / f"{source}.en.json").read_bytes()
        members = {}
        for member, place in DATASETS["translate-train"].sources[0].places.items():
            split = "train" if Path(place).name.startswith("train.") else "test"
            members[member] = (BUILTIN_CORPUS / f"{split}.es.json").read_bytes()
        state.files["mlqa-translate-train.tar.gz"] = packed_tar(members)

        def mine(source: Source) -> Source:
            body = state.files.get(source.name, b"")
            return replace(
                source,
                address=f"{state.address}/{source.name}",
                size=len(body),
                sha256=hashlib.sha256(body).hexdigest(),
            )

        for data in DATASETS.values():
            changed = replace(data, sources=tuple(mine(source) for source in data.sources))
            monkeypatch.setitem(sources.DATASETS, data.name, changed)
        yield state


def test_two_downloads_make_a_corpus(
    lbkd: Callable[..., Any], server: FileServer, tiny_model_folder: Path
) -> None:
    done = lbkd("data", "download", "squad")
    assert (done.code, done.out) == (0, "squad: 2 new in data/squad; licence CC BY-SA 4.0\n")
    assert [line.split()[:2] for line in done.err.splitlines()] == [
        ["train-v1.1.json", "kB"],
        ["dev-v1.1.json", "kB"],
    ]
    done = lbkd("data", "download", "translate-train")
    assert done.out == "translate-train: 12 new in data/squad; licence CC BY-SA 3.0\n"
    assert load_settings({"corpus.dir": "data/squad"}).corpus.test == "dev"
    assert lbkd("data", "check", *sorted(Path("data/squad").glob("*.json"))).code == 0
    options = ["--corpus", "data/squad", "--languages", "en,es,de", "--model", tiny_model_folder]
    rows = lbkd("data", "stats", *options, "--json").json
    assert [(row["language"], row["branch_pairs"]) for row in rows] == [(l, 378) for l in ("en", "es", "de")]


def test_the_second_time_nothing_is_sent(lbkd: Callable[..., Any], server: FileServer) -> None:
    lbkd("data", "download", "squad", "--out", "a b")
    server.log.clear()
    done = lbkd("data", "download", "squad", "--out", "a b")
    assert (done.code, done.err) == (0, "")
    assert done.out == "squad: 2 kept in a b/squad; licence CC BY-SA 4.0\n"
    Path("a b/squad/dev.en.json").unlink()
    assert lbkd("data", "download", "squad", "--out", "a b").out.startswith("squad: 1 kept, 1 new in")
    assert [sent.name for sent in server.log] == ["dev-v1.1.json"]


def test_json(lbkd: Callable[..., Any], server: FileServer) -> None:
    found = lbkd("data", "download", "squad", "--json").json
    body = server.files["train-v1.1.json"]
    assert (found["dataset"], found["licence"], len(found["files"])) == ("squad", "CC BY-SA 4.0", 2)
    assert found["files"][0] == {
        "file": "data/squad/train.en.json",
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "state": "new",
    }


def test_mirror(lbkd: Callable[..., Any], server: FileServer, tmp_path: Path) -> None:
    for name, body in server.files.items():
        (tmp_path / name).write_bytes(body)
    for mirror in (tmp_path, server.address + "/elsewhere"):
        done = lbkd("data", "download", "squad", "--mirror", mirror, "--out", Path(mirror).name)
        assert (done.code, done.out.split(";")[0]) == (0, f"squad: 2 new in {Path(mirror).name}/squad")
    assert len(server.log) == 2


@pytest.mark.parametrize(
    ("name", "options", "mood", "parts"),
    [
        ("squat", [], {}, ["'squat'", "did you mean 'squad'?", "translate-train"]),
        ("squad", ["--mirror", "nowhere"], {}, ["--mirror 'nowhere'", "folder", "https://"]),
        ("squad", ["--mirror", "."], {}, ["train-v1.1.json: no such file"]),
        ("squad", [], {"status": 404}, ["train-v1.1.json: the answer was 404", "--mirror"]),
        ("squad", [], {"length": 7}, ["not the expected file", "expected: 50,937 bytes found: 7 bytes"]),
        ("squad", [], {"body": b"<html>", "headers": {"Content-Type": "text/html"}}, ["a web page came"]),
        ("squad", ["--out", "/dev/full/x"], {}, ["/dev/full", "same command goes on"]),
    ],
)
def test_refusals(
    refused: Callable[..., str],
    server: FileServer,
    name: str,
    options: list[str],
    mood: dict[str, Any],
    parts: list[str],
) -> None:
    server.moods[:] = [mood]
    message = refused("data", "download", name, *options)
    assert all(part in message for part in parts), message
    assert not list(Path().rglob("train.en.json"))


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    code = """
import sys
from lbkd.datasets import sources
from lbkd_cli.main import main
sys.argv = ["lbkd", "data", "download", "squad", "--mirror", sys.argv[1]]
main()
"""
    train = DATASETS["squad"].sources[0]
    with serve() as server:
        server.files[train.name] = bytes(train.size)
        server.moods[:] = [{"stop": 777, "hang": 60}]
        with subprocess.Popen(
            [sys.executable, "-c", code, server.address],
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            preexec_fn=lambda: signal.signal(
                signal.SIGINT, signal.SIG_DFL
            ),  # a job in the background ignores it
        ) as child:
            part = tmp_path / "data" / f"{train.name}.part"
            while not (part.exists() and part.stat().st_size == 777):
                assert child.poll() is None
                time.sleep(0.02)
            child.send_signal(signal.SIGINT)
            _, err = child.communicate()
    assert child.returncode == 130
    assert "stopped; what has arrived is kept: the same command goes on after it" in err
    assert "Traceback" not in err
    assert part.stat().st_size == 777


def test_the_manifest_is_no_data_file(lbkd: Callable[..., Any], server: FileServer) -> None:
    lbkd("data", "download", "squad")
    assert json.loads(Path("data/squad.manifest.json").read_text()).keys() == {
        "squad/train.en.json",
        "squad/dev.en.json",
    }


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "foo://127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    message = refused("data", "download", "xquad")
    assert "proxy of the environment" in message and "--mirror" in message
