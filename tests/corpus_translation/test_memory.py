import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lbkd.contracts.translators import try_translator
from lbkd.corpus_translation.memory import Backend, TranslationMemory
from lbkd.errors import ConfigError
from lbkd.registry.errors import PluginError
from lbkd.translation import Translator


class Upper(Translator):
    """Capitals; says how often it was asked."""

    batch = 2

    def __init__(self, beams: int = 1) -> None:
        self.beams = beams
        self.asked: list[list[str]] = []

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        if "stop" in texts:
            raise KeyboardInterrupt
        self.asked.append(list(texts))
        return [f" {text.upper()}\n" for text in texts]

    def fingerprint(self, source: str, target: str) -> dict[str, Any]:
        return {"beams": self.beams}


def quiet(*_: object) -> None:
    pass


def filled(folder: Path, texts: Sequence[str], beams: int = 1) -> tuple[TranslationMemory, Upper]:
    translator = Upper(beams)
    memory = TranslationMemory(folder, Backend("upper", translator), "en", "es", quiet)
    with memory.opened():
        memory.fill(texts, "x")
    return memory, translator


def test_every_distinct_text_once_longest_first(tmp_path: Path) -> None:
    memory, translator = filled(tmp_path, ["b", "aaa", "b", "cc"])
    assert translator.asked == [["aaa", "cc"], ["b"]]
    assert [memory[text] for text in ("aaa", "b", "cc")] == ["AAA", "B", "CC"]
    assert (memory.known, memory.added) == (0, 3)
    again, translator = filled(tmp_path, ["b", "d"])
    assert translator.asked == [["d"]]
    assert (again["b"], again.known, again.added) == ("B", 3, 1)
    lines = [json.loads(line) for line in memory.path.read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {"backend": "upper", "beams": 1}
    batches = [line["batch"] for line in lines[1:]]
    assert batches == [[["aaa", "AAA"], ["cc", "CC"]], [["b", "B"]], [["d", "D"]]]


def test_progress(tmp_path: Path) -> None:
    moments = []
    backend = Backend("upper", Upper())
    memory = TranslationMemory(tmp_path, backend, "en", "es", lambda *moment: moments.append(moment))
    with memory.opened():
        memory.fill(["known"], "a file")
        memory.fill(["known", "a", "b", "c"], "another")
    assert [moment[:3] for moment in moments] == [("a file", 1, 1), ("another", 3, 4), ("another", 4, 4)]
    assert all(moment[3]["strings_per_second"] > 0 for moment in moments)


def test_a_break_loses_one_batch(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        filled(tmp_path, ["aaaaaaa", "bbbbbb", "ccccc", "stop", "d"])
    memory, translator = filled(tmp_path, ["aaaaaaa", "bbbbbb", "ccccc", "d"])
    assert translator.asked == [["ccccc", "d"]]
    assert memory.known == 2


class Company(Upper):
    """Translates a text otherwise in other company."""

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        return [f"{text} with {', '.join(texts)}" for text in texts]


def test_batches_are_the_same_after_a_break(tmp_path: Path) -> None:
    texts = ["aaaaaaa", "bbbbbb", "ccccc", "dddd", "eee"]
    memories = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        memory = TranslationMemory(folder, Backend("company", Company()), "en", "es", quiet)
        with memory.opened():
            memory.fill(texts, "x")
        memories.append(memory)
    whole = memories[0].path.read_bytes()
    for left in range(len(whole)):
        memories[1].path.write_bytes(whole[:left])
        memory = TranslationMemory(tmp_path / "two", Backend("company", Company()), "en", "es", quiet)
        with memory.opened():
            memory.fill(texts, "x")
        assert memory.path.read_bytes() == whole


@pytest.mark.parametrize("cut", [1, 3, 9])
def test_a_broken_last_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    memory, _ = filled(tmp_path, ["aaa", "bb", "é"])
    whole = memory.path.read_bytes()
    memory.path.write_bytes(whole[:-cut])
    again, translator = filled(tmp_path, ["aaa", "bb", "é"])
    assert translator.asked == [["é"]]
    assert memory.path.read_bytes() == whole
    assert again["é"] == "É"


def test_every_flipped_bit_of_a_translation_is_noticed(tmp_path: Path) -> None:
    memory, _ = filled(tmp_path, ["aaa", "bb"])
    whole = memory.path.read_bytes()
    for place in range(whole.index(b"\n") + 1, len(whole) - 1):
        other = bytes([whole[place] ^ 1 << place % 8])
        memory.path.write_bytes(whole[:place] + other + whole[place + 1 :])
        again, translator = filled(tmp_path, ["aaa", "bb"])
        assert (again["aaa"], again["bb"], translator.asked) == ("AAA", "BB", [["aaa", "bb"]])
        assert again.damaged > 0


def test_lines_of_earlier_versions_have_no_checksum(tmp_path: Path) -> None:
    memory, _ = filled(tmp_path, ["aaa"])
    settings, _ = memory.path.read_bytes().splitlines(keepends=True)
    memory.path.write_bytes(settings + b'[["aaa", "AAA"]]\n')
    again, translator = filled(tmp_path, ["aaa"])
    assert (again["aaa"], translator.asked, again.damaged) == ("AAA", [], 0)


def test_other_settings_have_another_file(tmp_path: Path) -> None:
    former, _ = filled(tmp_path, ["a"])
    assert list(former.others()) == []
    memory, translator = filled(tmp_path, ["a"], beams=4)
    assert translator.asked == [["a"]]
    assert list(memory.others()) == [(former.path, "beams")]
    assert list(TranslationMemory(tmp_path, Backend("upper", Upper()), "en", "de", quiet).others()) == []


def test_one_process_at_a_time(tmp_path: Path) -> None:
    memories = [TranslationMemory(tmp_path, Backend("upper", Upper()), "en", "es", quiet) for _ in range(2)]
    with memories[0].opened(), pytest.raises(ConfigError, match="another process"), memories[1].opened():
        pass
    with memories[1].opened():
        pass


class Short(Upper):
    """Loses a text."""

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        return ["x"] * (len(texts) - 1)


def test_a_backend_that_loses_texts(tmp_path: Path) -> None:
    memory = TranslationMemory(tmp_path, Backend("short", Short()), "en", "es", quiet)
    with memory.opened(), pytest.raises(PluginError, match="Short: `translate` returns 1 texts for 2"):
        memory.fill(["a", "b"], "x")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda texts: (text.upper() for text in texts), ""),
        (lambda texts: tuple(texts), ""),
        (lambda texts: [texts[0], None], r"Answering: `translate` returns None for text 1; needed is a text"),
        (lambda texts: iter([texts[0], b"x"]), r"returns b'x' for text 1"),
        (lambda texts: "".join(texts), "returns a str; needed is a list of texts"),
        (lambda texts: None, "returns a NoneType; needed is a list of texts"),
        (lambda texts: [*texts, "c"], "returns 3 texts for 2"),
    ],
)
def test_what_a_backend_returns(tmp_path: Path, made: Callable[[Sequence[str]], Any], message: str) -> None:
    """`lbkd check` and the memory ask for the same, in the same words."""

    class Answering(Upper):
        def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
            found: list[str] = made(texts)
            return found

    memory = TranslationMemory(tmp_path, Backend("answering", Answering()), "en", "es", quiet)
    with memory.opened():
        if not message:
            memory.fill(["a", "b"], "x")
            assert memory["b"].lower() == "b"
            assert len(try_translator(Answering(), "en", "es")) == 2
            return
        with pytest.raises(PluginError, match=message):
            memory.fill(["a", "b"], "x")
        with pytest.raises(PluginError, match=message):
            try_translator(Answering(), "en", "es")


def test_line_breaks_and_half_characters_of_a_translation(tmp_path: Path) -> None:
    class Odd(Upper):
        """Returns what cannot be written."""

        def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
            return [" a\u2028 b\ud800 "]

    memory = TranslationMemory(tmp_path, Backend("odd", Odd()), "en", "es", quiet)
    with memory.opened():
        memory.fill(["x"], "x")
    assert memory["x"] == "a b?"
