import shutil
import sys
import time
from pathlib import Path

import pytest

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus import squad
from lbkd.errors import ConfigError
from lbkd.translation import registry
from lbkd.translation.apertium import Apertium, _escaped, _mode, _plain


@pytest.fixture(scope="module")
def apertium() -> Apertium:
    """The real program with English and Spanish."""
    translator = Apertium()
    try:
        translator.check("en", "es")
        translator.check("es", "en")
    except ConfigError as error:
        pytest.skip(f"{error} (`make apertium` does that)")
    return translator


@pytest.fixture(scope="module")
def questions() -> list[str]:
    return [question.text for question in squad.read(BUILTIN_CORPUS / "train.en.json", "en").questions]


def test_both_ways(apertium: Apertium) -> None:
    assert apertium.translate(["The big house.", "Two dogs"], "en", "es") == ["La casa grande.", "Dos perros"]
    assert apertium.translate(["La casa grande.", "Dos perros"], "es", "en") == ["The big house.", "Two dogs"]
    assert apertium.translate([], "en", "es") == []


def test_languages_become_modes(apertium: Apertium) -> None:
    assert _mode("en", "es") == _mode("eng", "spa") == "eng-spa"
    assert _mode("es", "en") == "spa-eng"  # not spa-eng_US, which is installed beside it


def test_unknown_words_are_not_marked(apertium: Apertium) -> None:
    assert apertium.translate(["The Xanadu xyzzy."], "en", "es") == ["El Xanadu xyzzy."]


@pytest.mark.parametrize(
    ("text", "translation"),
    [
        ("", ""),
        (".", "."),
        ("12", "12"),
        ("the house\nof the king", "la casa\ndel rey"),
        ("the house\n\n\nof the king", "la casa\n\n\ndel rey"),
        ("the [big] {house} <b>here</b>", "el [grande] {casa} <b>aquí</b>"),
        ("^the house$, 1/2 \\ the dog @ 5", "^la casa$, 1/2 \\ el perro @ 5"),
        ("~5000 dogs", "~5000 perros"),
        ("[<STREAMCMD:SETVAR:x>] 12", "[<streamcmd:setvar:x>] 12"),
        ("the house.[] the dog.[]", "la casa.[] el perro.[]"),
        ("the «house» and the “dog”", "la «casa» y el “perro”"),
        ("the cafe\u0301", "la cafetería"),
        ("the house\0the dog", "la casa el perro"),
        ("你好 مرحبا 😀", "你好 مرحبا 😀"),
    ],
)
def test_whatever_a_text_holds(apertium: Apertium, text: str, translation: str) -> None:
    around = "the dog"
    found = apertium.translate([around, text, around], "en", "es")
    assert [each.lower() for each in found] == ["el perro", translation, "el perro"]


@pytest.mark.parametrize("text", ["", "a", "a.[]", "~[~]~", r"\[ \] \\ ^x$ <b>/@{}", "a\nb", ". ."])
def test_what_is_escaped_comes_back(text: str) -> None:
    assert _plain(_escaped(text) + ".[]") == text


def test_many_at_once_in_order(apertium: Apertium, questions: list[str]) -> None:
    numbered = [f"{number}: {text}" for number, text in enumerate(questions)]
    found = apertium.translate(numbered, "en", "es")
    assert [text.partition(":")[0] for text in found] == [str(number) for number in range(len(questions))]
    assert found == apertium.translate(numbered, "en", "es")
    assert all(len(text) > 8 for text in found)


def test_the_texts_before_hardly_matter(apertium: Apertium, questions: list[str]) -> None:
    found = apertium.translate(questions, "en", "es")
    turned = apertium.translate(questions[::-1], "en", "es")[::-1]
    other = sum(one != two for one, two in zip(found, turned, strict=True))
    assert other <= 0.1 * len(questions)


def test_the_users_locale_does_not_matter(apertium: Apertium, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LC_ALL", "xx_XX"), ("LANG", "xx_XX"), ("LC_CTYPE", "POSIX")):
        monkeypatch.setenv(name, value)
    assert apertium.translate(["The boy, café, ñandú"], "en", "es") == ["El chico, cafetería, ñandú"]


def test_fingerprint(apertium: Apertium) -> None:
    found = apertium.fingerprint("en", "es")
    assert found["mode"] == "eng-spa"
    assert found["version"].startswith("Apertium 3.")
    assert found == Apertium().fingerprint("en", "es")
    assert found["data"] != apertium.fingerprint("es", "en")["data"]


def test_fingerprint_follows_the_data(
    apertium: Apertium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = apertium.fingerprint("en", "es")["data"]
    (tmp_path / "modes").mkdir()
    (tmp_path / "rules").write_text("1")
    (tmp_path / "modes" / "eng-spa.mode").write_text(f"lt-proc '{tmp_path}/rules'")
    monkeypatch.setenv("APERTIUM_DATADIR", str(tmp_path))
    one = apertium.fingerprint("en", "es")["data"]
    (tmp_path / "rules").write_text("2")
    assert len({before, one, apertium.fingerprint("en", "es")["data"]}) == 3


def test_a_pair_that_is_not_installed(apertium: Apertium) -> None:
    for pair in (("en", "vi"), ("de", "es"), ("en", "en"), ("xx", "es")):
        with pytest.raises(ConfigError) as caught:
            apertium.check(*pair)
        assert all(part in str(caught.value) for part in (*map(repr, pair), "eng-spa", "apt-get install"))


def test_a_pipeline_that_fails(apertium: Apertium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "modes").mkdir()
    (tmp_path / "modes" / "eng-spa.mode").write_text("lt-proc 'no-such-file.bin'")
    monkeypatch.setenv("APERTIUM_DATADIR", str(tmp_path))
    with pytest.raises(ConfigError, match=r"apertium eng-spa: gave 0 of 2 translations; .*no-such-file"):
        apertium.translate(["one", "two"], "en", "es")


@pytest.mark.parametrize(
    ("program", "place", "said"),
    [
        # The last program dies when it has said everything.
        ("cat; kill -KILL $$", "end", r"gave 3 of 3 translations; exit code 137: .*is 'three'"),
        # A program in the middle dies inside the last text; those after it end it as if it were complete.
        ("head -c 250; kill -SEGV $$", "middle", r"gave 2 of 3 translations; exit code 139: .*is 'three'"),
        # The same, without an exit code: `<` remains of `<=`.
        ("head -c 27 && cat > /dev/null", "end", r"gave 1 of 3 translations; .*is 'two big dogs <= 3'"),
    ],
)
def test_a_program_of_the_pipeline_that_dies(
    apertium: Apertium,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    place: str,
    said: str,
) -> None:
    pipe(tmp_path, monkeypatch, program, place)
    with pytest.raises(ConfigError, match=said):
        apertium.translate(["one", "two big dogs <= 3", "three"], "en", "es")


def test_a_pipeline_that_hangs(apertium: Apertium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(tmp_path, monkeypatch, f"echo $$ > {tmp_path}/id; head -c 30; exec sleep 100", "end")
    mode = _mode("en", "es")
    monkeypatch.setattr("lbkd.translation.apertium._mode", lambda *_: mode)
    monkeypatch.setattr("lbkd.translation.apertium._PATIENCE", 5.0)
    with pytest.raises(
        ConfigError, match=r"gave 1 of 2 translations; it gave nothing more .* is 'two big dogs <= 3'"
    ):
        apertium.translate(["one", "two big dogs <= 3"], "en", "es")
    number = int((tmp_path / "id").read_text())
    until = time.monotonic() + 30  # a killed program closes its pipes before it is gone
    while running(number):
        assert time.monotonic() < until, "a program of the pipeline was left behind"
        time.sleep(0.02)


HANGING_AT_A_WORD = """
import sys, time
for each in sys.stdin.buffer.read().split(bytes(1)):
    if b"perros" in each:
        time.sleep(100)
    sys.stdout.buffer.write(each + bytes(1))
    sys.stdout.buffer.flush()
"""


@pytest.mark.slow
def test_the_text_that_hangs_is_named(
    apertium: Apertium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A translation is held back until the next one begins, so that the first text unseen may be sound."""
    (tmp_path / "hang.py").write_text(HANGING_AT_A_WORD)
    pipe(tmp_path, monkeypatch, f"exec {sys.executable} -S -E {tmp_path}/hang.py", "end")
    mode = _mode("en", "es")
    monkeypatch.setattr("lbkd.translation.apertium._mode", lambda *_: mode)
    monkeypatch.setattr("lbkd.translation.apertium._PATIENCE", 6.0)
    monkeypatch.setattr("lbkd.translation.apertium._PATIENCE_FOR_ONE", 6.0)
    said = r"gave 1 of 4 translations; it gave nothing .* fault is 'the dogs'\. If"
    with pytest.raises(ConfigError, match=said):
        apertium.translate(["the house", "the king", "the dogs", "the cat"], "en", "es")


def running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pipe(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str, place: str) -> None:
    """Put a shell's program at the end or in the middle of Apertium's pipeline."""
    mode = Path("/usr/share/apertium/modes/eng-spa.mode").read_text().strip()
    script = folder / "program.sh"
    script.write_text(f"#!/bin/sh\n{program}\n")
    script.chmod(0o755)
    middle = "| apertium-postchunk"
    changed = mode.replace(middle, f"| {script} {middle}") if place == "middle" else f"{mode} | {script}"
    (folder / "modes").mkdir()
    (folder / "modes" / "eng-spa.mode").write_text(changed)
    monkeypatch.setenv("APERTIUM_DATADIR", str(folder))


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    for ask in (Apertium().check, Apertium().fingerprint):
        with pytest.raises(ConfigError, match="not installed.*apt-get install apertium apertium-eng-spa"):
            ask("en", "es")


def test_it_has_no_options() -> None:
    assert registry.options("apertium") == []
