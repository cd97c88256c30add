import json
from pathlib import Path

import pytest

from lbkd.errors import ConfigError, DataError, LbkdError
from lbkd.translation import registry
from lbkd.translation.files import Files

PAIRS = [("A house.", "Una casa."), ("Who?", "¿Quién?"), ("line\u2028break", "línea\u2028partida")]


def written(folder: Path, suffix: str) -> Files:
    """PAIRS in files of this kind."""
    for language, texts in zip(("en", "es"), zip(*PAIRS, strict=True), strict=True):
        ids = [f"q{number}" for number in range(len(texts))]
        content = {
            "txt": "\n".join(texts) + "\n",
            "json": json.dumps(dict(zip(ids, texts, strict=True))),
            "jsonl": "".join(
                json.dumps({"text": t, "id": i, "note": 1}) + "\n" for i, t in zip(ids, texts, strict=True)
            ),
        }[suffix]
        (folder / f"{language}.{suffix}").write_text(content, encoding="utf-8")
    return Files(str(folder / f"{{language}}.{suffix}"))


@pytest.mark.parametrize("suffix", ["txt", "json", "jsonl"])
def test_each_format(tmp_path: Path, suffix: str) -> None:
    translator = written(tmp_path, suffix)
    translator.check("en", "es")
    before, after = map(list, zip(*PAIRS, strict=True))
    assert translator.translate(before, "en", "es") == after
    assert translator.translate(before[::-1], "en", "es") == after[::-1]
    assert translator.translate(after, "es", "en") == before


def test_white_space_does_not_matter(tmp_path: Path) -> None:
    assert written(tmp_path, "txt").translate([" A\n house. "], "en", "es") == ["Una casa."]


def test_what_is_not_there_has_no_translation(tmp_path: Path) -> None:
    (tmp_path / "en.json").write_text('{"a": "One", "b": "Two", "c": "Three"}')
    (tmp_path / "es.json").write_text('{"c": "Tres", "b": " ", "d": "Cuatro"}')
    translator = Files(str(tmp_path / "{language}.json"))
    found = translator.translate(["One", "Two", "Three", "Four", "<b>Three</b>"], "en", "es")
    assert found == ["", "", "Tres", "", ""]


def test_the_first_translation_of_a_text_holds(tmp_path: Path) -> None:
    (tmp_path / "en.txt").write_text("Two\nOne\nTwo\n")
    (tmp_path / "es.txt").write_text("Dos\n\nDois\n")
    assert Files(str(tmp_path / "{language}.txt")).translate(["Two", "One"], "en", "es") == ["Dos", ""]


def test_it_is_given_whole_passages() -> None:
    assert not Files.sentences


def test_fingerprint_follows_the_contents(tmp_path: Path) -> None:
    translator = written(tmp_path, "txt")
    first = translator.fingerprint("en", "es")
    (tmp_path / "moved").mkdir()
    assert written(tmp_path / "moved", "txt").fingerprint("en", "es") == first
    assert translator.fingerprint("es", "en") != first
    (tmp_path / "es.txt").write_text("Una casa.\n¿Qué?\nx\n")
    assert Files(translator.path).fingerprint("en", "es") != first


def test_the_path_names_the_language() -> None:
    with pytest.raises(ConfigError, match=r"translation\.files: path = 'a\.txt'.*\{language\}"):
        registry.create("files", {"path": "a.txt"})
    with pytest.raises(ConfigError, match="'translation.files.path' is needed"):
        registry.create("files")


@pytest.mark.parametrize(
    ("suffix", "content", "said"),
    [
        ("txt", None, "there is no file"),
        ("txt", b"one\n", "es.txt has 1 lines, .*en.txt has 3"),
        ("txt", b"caf\xe9\nb\nc\n", "cannot be read as UTF-8"),
        ("json", b"{", "es.json: not JSON"),
        (
            "json",
            b'{"q0": "a", "q0": "b"}',
            "es.json: an object has the key 'q0' twice, with 'a' and with 'b'",
        ),
        ("json", b'["a"]', "es.json: expected one object, from id to text"),
        ("json", b'{"q0": ["a"]}', "es.json: expected one object, from id to text"),
        ("jsonl", b'{"id": "q0", "text": "a"}\n{"id"\n', "es.jsonl, line 2: not JSON"),
        ("jsonl", b'\n{"id": "q0"}\n', "es.jsonl, line 2: expected an object"),
        ("jsonl", b'{"id": 1, "text": "a"}', "es.jsonl, line 1: expected an object"),
        ("jsonl", b'"a"', "es.jsonl, line 1: expected an object"),
        ("jsonl", b'{"id": "q", "text": "a"}\n{"id": "q", "text": "b"}', "line 2: the id 'q' came before"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, suffix: str, content: bytes | None, said: str) -> None:
    translator = written(tmp_path, suffix)
    file = tmp_path / f"es.{suffix}"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(LbkdError, match=said) as caught:
        translator.check("en", "es")
    assert isinstance(caught.value, DataError if content else ConfigError)
