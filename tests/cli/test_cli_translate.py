import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from translators import Damaging

from lbkd import translation
from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.squad import read

SCRIPT = """
import os, signal, sys
from lbkd import translation
from lbkd_cli.main import main
from translators import Damaging

@translation.registry.register("counting")
class Counting(Damaging):
    '''Writes down every text; kills itself when it has got so many batches.'''
    batch = 16

    def __init__(self, kill_after: int = -1) -> None:
        super().__init__()
        self.left = kill_after

    def fingerprint(self, source, target):
        return {}

    def translate(self, texts, source, target):
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        with open("count.txt", "a") as file:
            file.writelines(f"{target} {text!r}\\n" for text in texts)
        return super().translate(texts, source, target)

main()
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder with two splits of the corpus that ships, in English."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("train.en.json", "test.en.json"):
        (folder / name).write_bytes((BUILTIN_CORPUS / name).read_bytes())
    return folder


@pytest.fixture
def _damaging() -> Iterator[None]:
    """The backend `damaging`, for as long as a test lasts."""

    @translation.registry.register("damaging")  # not the class itself, which other tests use without a name
    class Registered(Damaging):
        """Translates badly."""

    yield
    translation.registry._scripted.pop("damaging")


def counting(corpus: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """`lbkd translate` in a process of its own."""
    command = [sys.executable, "-c", SCRIPT, "translate", "--corpus", str(corpus), "--to", "es,de"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(
        [*command, "--backend", "counting", "--markers", "tags", *more],
        capture_output=True,
        text=True,
        env=environment,
    )


def outputs(corpus: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in corpus.iterdir() if ".en." not in path.name}


def test_killed_and_started_again(corpus: Path) -> None:
    for after in (5, 9, 40):
        killed = counting(corpus, "--set", f"translation.counting.kill_after={after}")
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = counting(corpus)
    assert done.returncode == 0, done.stderr
    texts = Counter(Path("count.txt").read_text().splitlines())
    assert set(texts.values()) == {1}  # no text was translated twice
    broken = outputs(corpus)
    assert len(broken) == 6  # two splits in two languages, the report, the record of what was written
    again = counting(corpus)
    assert Counter(Path("count.txt").read_text().splitlines()) == texts  # and none again
    assert "0 texts translated" in again.stderr
    assert outputs(corpus) == broken
    for name in broken:
        (corpus / name).unlink()
    Path("count.txt").unlink()
    counting(corpus, "--workspace", "another")
    assert Counter(Path("count.txt").read_text().splitlines()) == texts
    assert outputs(corpus) == broken  # the same bytes as without a break


@pytest.mark.usefixtures("_damaging")
def test_files_and_table(lbkd: Callable[..., Any], corpus: Path) -> None:
    done = lbkd("translate", "--corpus", corpus, "--from", "en", "--to", "es,de", "--backend", "damaging")
    assert done.code == 0, done.err
    ids = {
        split: [q.id for q in read(corpus / f"{split}.en.json", "en").questions]
        for split in ("train", "test")
    }
    for split, expected in ids.items():
        for language in ("es", "de"):
            assert [q.id for q in read(corpus / f"{split}.{language}.json", language).questions] == expected
    lines = done.out.splitlines()
    assert lines[0].split() == ["file", "answers", "by,", "or", "for", "number", "share", "mean", "score"]
    assert {line.split()[0] for line in lines[1:] if not line.endswith("kept")} == {
        f"{split}.{language}.json" for split in ids for language in ("es", "de")
    }
    assert f"train.es.json: {len(ids['train'])} of {len(ids['train'])} questions kept" in done.out
    assert "translation-report.json" in done.err
    assert "strings/s" in done.err
    assert (corpus / "translation-report.json").exists()


@pytest.mark.usefixtures("_damaging")
def test_json_options_and_splits(lbkd: Callable[..., Any], corpus: Path) -> None:
    options = (
        "--split",
        "test",
        "--methods",
        "marked",
        "--markers",
        "tags",
        "--set",
        "translation.damaging.seed=3",
        "--workspace",
        "w",
        "--json",
    )
    done = lbkd("translate", "--corpus", corpus, "--to", "es", "--backend", "damaging", *options)
    assert done.code == 0, done.err
    report = done.json
    assert report == json.loads((corpus / "translation-report.json").read_text(encoding="utf-8"))
    assert list(report) == ["test.es.json"]
    assert not (corpus / "train.es.json").exists()
    assert report["test.es.json"]["reasons"]
    assert list(Path("w/translations").glob("en-es.*.jsonl"))


@pytest.mark.usefixtures("_damaging")
def test_ctrl_c_says_how_to_go_on(
    lbkd: Callable[..., Any], corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Damaging, "translate", stop)
    done = lbkd("translate", "--corpus", corpus, "--to", "es", "--backend", "damaging")
    assert done.code == 130
    assert "finished translations are kept: the same command goes on after them" in done.err


@pytest.mark.usefixtures("_damaging")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--markers", "tag"], ["'tag'", "--markers", "did you mean 'tags'?"]),
        (["--methods", "marked,string"], ["'string'", "--methods", "alignment, answer, marked"]),
        (["--backend", "damage"], ["'damage'", "did you mean 'damaging'?"]),
        (
            ["--set", "translation.damaging.sed=1"],
            ["no option 'translation.damaging.sed'", "did you mean 'translation.damaging.seed'?"],
        ),
        (["--split", "dev"], ["dev.en.json", "no such file"]),
        (["--from", "fr"], ["no file", "*.fr.json", "--from"]),
        (["--to", "en"], ["--to 'en'", "leave it out"]),
        (["--to", ","], ["--to ','", "es,de"]),
    ],
)
def test_what_is_wrong(
    refused: Callable[..., str], corpus: Path, options: list[str], said: list[str]
) -> None:
    command = ["translate", "--corpus", corpus, "--to", "es", "--backend", "damaging", *options]
    message = refused(*command)
    for part in said:
        assert part in message
    assert not (corpus / "translation-report.json").exists()


@pytest.mark.usefixtures("_damaging")
def test_a_file_in_the_way(refused: Callable[..., str], corpus: Path) -> None:
    (corpus / "test.es.json").write_bytes((BUILTIN_CORPUS / "test.es.json").read_bytes())
    message = refused("translate", "--corpus", corpus, "--to", "es", "--backend", "damaging")
    assert "not as lbkd wrote them" in message and "test.es.json" in message
    assert not (corpus / "train.es.json").exists()


def test_repair(lbkd: Callable[..., Any], wrote: Callable[[str, Any], Path]) -> None:
    answers = [{"text": "Roma", "answer_start": 0}]
    qas = [{"id": "q", "question": "?", "answers": answers}, {"id": "p", "question": "?", "answers": []}]
    qas[1]["answers"] = [{"text": "Lima", "answer_start": 0}]
    path = wrote("es.json", {"data": [{"paragraphs": [{"context": "en Roma", "qas": qas}]}]})
    done = lbkd("data", "repair", path)
    assert done.code == 0, done.err
    rows = [line.split() for line in done.out.splitlines()]
    assert rows[1][1:] == ["kept", "answer", "1", "50.0%", "0.750"]
    assert rows[2][1:] == ["discarded", "not", "in", "the", "passage", "1", "50.0%"]
    assert f"{path}: 1 of 2 questions kept" in done.out
    assert "repaired/es.json" in done.err
    report = lbkd("data", "repair", path, "--json").json
    assert report[str(path)]["written"] == str(path.parent / "repaired" / "es.json")
    assert lbkd("data", "check", path.parent / "repaired" / "es.json").code == 0
    assert lbkd("data", "repair", path, "--min-score", "0.8").code == 2


def test_repair_of_several_files(
    lbkd: Callable[..., Any], refused: Callable[..., str], wrote: Callable[[str, Any], Path]
) -> None:
    qas = [{"id": "q", "question": "?", "answers": [{"text": "Roma", "answer_start": 15}]}]
    good = wrote("es.json", {"data": [{"paragraphs": [{"context": "Él, ¿nació en Roma?", "qas": qas}]}]})
    bad = wrote("de.json", {"data": [{"paragraphs": [{"context": "in Rom", "qas": [{"id": 1}]}]}]})
    message = refused("data", "repair", good, bad)
    assert "de.json: 3 faults" in message
    assert f"Nothing was written; these files could be repaired: {good}." in message.replace("\n", " ")
    assert not (good.parent / "repaired").exists()
    done = lbkd("data", "repair", good)
    assert done.code == 0, done.err
    assert f"{good}: 1 of 1 questions kept" in done.out


@pytest.mark.usefixtures("_damaging")
def test_check_passes_over_reports(lbkd: Callable[..., Any], corpus: Path) -> None:
    options = ("--corpus", corpus, "--to", "es", "--split", "test", "--backend", "damaging")
    assert lbkd("translate", *options).code == 0
    report = corpus / "translation-report.json"
    done = lbkd("data", "check", report, corpus / "test.es.json")
    assert done.code == 0, done.out
    assert "translation-report.json: a report of lbkd, no data file; passed over" in done.out
    rows = lbkd("data", "check", report, "--json").json
    assert rows == [{"file": str(report), "faults": [], "lacks": [], "report": True}]
    report.write_text('{"test.es.json": {"answers": {}}}')
    assert lbkd("data", "check", report).code == 2
