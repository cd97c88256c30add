"""The files of a folder, their report, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from translated_files import asked, document, run
from translators import Damaging, Turned

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus_translation.translate import REPORT
from lbkd.errors import ConfigError, DataError


def test_a_second_run_costs_nothing_and_gives_the_same_bytes(tmp_path: Path) -> None:
    content = json.loads((BUILTIN_CORPUS / "test.en.json").read_text(encoding="utf-8"))
    runs = []
    for _ in range(2):
        translator = Damaging()
        notes = run(tmp_path, content, translator)[2]
        runs.append([(tmp_path / name).read_bytes() for name in ("train.es.json", REPORT)])
    assert runs[0] == runs[1]
    assert not translator.done
    assert notes[0].startswith("es: 0 texts translated;")


def test_changed_settings_are_noticed(tmp_path: Path) -> None:
    class Seeded(Damaging):
        """Says that its seed matters."""

        def fingerprint(self, source: str, target: str) -> dict[str, Any]:
            return {"seed": self.seed}

    text = "Rome fell."
    content = document((text, [asked("x", text, ("Rome", 0))]))
    run(tmp_path, content, Seeded(1))
    _, _, notes = run(tmp_path, content, Seeded(2))
    assert "is not used: its translations were made with other settings (seed)" in notes[0]
    assert "0 were known before" in notes[1]


def test_files_that_it_did_not_write_are_left_alone(tmp_path: Path) -> None:
    text = "Rome fell."
    content = document((text, [asked("x", text, ("Rome", 0))]))
    (tmp_path / "train.es.json").write_text(json.dumps(content))
    translator = Damaging()
    with pytest.raises(DataError, match=r"1 of 1 files are there, and not as lbkd wrote them:\n.*train\.es"):
        run(tmp_path, content, translator)
    assert json.loads((tmp_path / "train.es.json").read_text()) == content
    assert not translator.done


def test_a_corrected_translation_is_left_alone(tmp_path: Path) -> None:
    text = "Rome fell."
    content = document((text, [asked("x", text, ("Rome", 0))]))
    run(tmp_path, content, Turned())
    written = (tmp_path / "train.es.json").read_bytes()
    run(tmp_path, content, Turned())  # its own file, unchanged, may be replaced
    corrected = written.replace(b"version", b"VERSION")
    (tmp_path / "train.es.json").write_bytes(corrected)
    report = (tmp_path / REPORT).read_bytes()
    with pytest.raises(DataError, match="--overwrite"):
        run(tmp_path, content, Turned())
    assert (tmp_path / "train.es.json").read_bytes() == corrected
    assert (tmp_path / REPORT).read_bytes() == report
    run(tmp_path, content, Turned(), overwrite=True)
    assert (tmp_path / "train.es.json").read_bytes() == written


def test_reports_on_other_files_stay(tmp_path: Path) -> None:
    text = "Rome fell."
    content = document((text, [asked("x", text, ("Rome", 0))]))
    run(tmp_path, content, Turned(), to="fr")
    run(tmp_path, content, Turned(), to="de")
    assert list(json.loads((tmp_path / REPORT).read_text())) == ["train.de.json", "train.fr.json"]


def test_the_language_itself(tmp_path: Path) -> None:
    text = "Rome fell."
    content = document((text, [asked("x", text, ("Rome", 0))]))
    with pytest.raises(ConfigError, match="--to 'en' is the language to translate from"):
        run(tmp_path, content, Turned(), to="en")


def test_a_pair_that_the_backend_does_not_know(tmp_path: Path) -> None:
    class Picky(Turned):
        """Knows no Spanish."""

        def check(self, source: str, target: str) -> None:
            raise ConfigError(f"no {source}-{target}")

    text = "Rome fell."
    with pytest.raises(ConfigError, match="no en-es"):
        run(tmp_path, document((text, [asked("x", text, ("Rome", 0))])), Picky())
    assert not (tmp_path / "w").exists()
