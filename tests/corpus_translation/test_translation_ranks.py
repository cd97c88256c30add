"""Translation on two ranks: the same bytes as on one, each text once, and what was done before an error."""

from ast import literal_eval
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ranks import Ranks
from translated_files import ALL
from translators import Turned

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus_translation.memory import Backend
from lbkd.corpus_translation.ranks import RankedBackend
from lbkd.corpus_translation.translate import Outputs, translate
from lbkd.distributed import group
from lbkd.errors import ConfigError, LbkdError
from lbkd.progress import Silent


class Placed(Turned):
    """Writes down what its rank translates; a translation tells its text's place in the batch."""

    batch = 7

    def __init__(self, log: Path, refuses: str = "", differs: bool = False) -> None:
        self.log, self.refuses, self.differs = log, refuses, differs

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        if self.refuses in texts:
            raise ConfigError(f"{self.refuses!r} is too much")
        with self.log.with_suffix(f".{group.rank()}").open("a", encoding="utf-8") as file:
            file.writelines(f"{target} {text!r}\n" for text in texts)
        found = super().translate(texts, source, target)
        return [f"{text} {place}" for place, text in enumerate(found)]

    def fingerprint(self, source: str, target: str) -> dict[str, Any]:
        return {"version": group.rank() if self.differs else 0}


def work(backend: Backend, folder: Path) -> None:
    source = folder / "test.en.json"
    files = {source: {language: folder / f"test.{language}.json" for language in ("es", "de")}}
    translate(Outputs(folder, files), "en", backend, ALL, folder / "w", Silent())


def on_rank(folder: Path, refuses: str = "", differs: bool = False) -> str:
    """One rank's part; the error that ends it."""
    group.start()
    backend = RankedBackend("t", Placed(folder / "log", refuses, differs))
    try:
        if group.rank():
            backend.serve()
        else:
            with backend.leading():
                work(backend, folder)
    except LbkdError as error:
        return str(error)
    return ""


def corpus(folder: Path) -> Path:
    folder.mkdir()
    (folder / "test.en.json").write_bytes((BUILTIN_CORPUS / "test.en.json").read_bytes())
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """All that a translation writes, but the logs."""
    found = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("log.")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def logged(folder: Path) -> list[list[str]]:
    """The texts that each rank translated."""
    return [path.read_text(encoding="utf-8").splitlines() for path in sorted(folder.glob("log.*"))]


def test_the_same_bytes_and_each_text_once(two_ranks: Ranks, tmp_path: Path) -> None:
    one, two = corpus(tmp_path / "one"), corpus(tmp_path / "two")
    work(Backend("t", Placed(one / "log")), one)
    assert two_ranks(on_rank, two) == ["", ""]
    assert files(two) == files(one)
    assert len(files(two)) == 1 + 2 + 2 + 2  # source, two languages, their memories, report and record
    [alone], shares = logged(one), logged(two)
    assert sorted(shares[0] + shares[1]) == sorted(alone) == sorted(set(alone))
    assert len(shares[0]) == pytest.approx(len(shares[1]), rel=0.1)
    assert two_ranks(on_rank, two) == ["", ""]
    assert (files(two), logged(two)) == (files(one), shares)  # nothing anew


@pytest.mark.parametrize("number", [20, 27])
def test_what_was_done_before_an_error_is_kept(number: int, two_ranks: Ranks, tmp_path: Path) -> None:
    """The error comes in the third or fourth batch: of the first rank, or of the second."""
    one, two = corpus(tmp_path / "one"), corpus(tmp_path / "two")
    whole = corpus(tmp_path / "whole")
    work(Backend("t", Placed(whole / "log")), whole)
    [texts] = logged(whole)
    refused = literal_eval(texts[number].removeprefix("es "))
    with pytest.raises(ConfigError, match="is too much") as caught:
        work(Backend("t", Placed(one / "log", refused)), one)
    assert two_ranks(on_rank, two, refused) == [str(caught.value)] * 2
    assert files(two) == files(one)
    [memory] = (two / "w").iterdir()
    assert memory.read_text(encoding="utf-8").count("\n") == 1 + number // 7
    assert two_ranks(on_rank, two) == ["", ""]
    assert files(two) == files(whole)


def test_a_rank_with_another_translator(two_ranks: Ranks, tmp_path: Path) -> None:
    folder = corpus(tmp_path / "corpus")
    [told, same] = two_ranks(on_rank, folder, "", True)
    assert told == same
    assert "rank 1 on " in told and " has another translator than rank 0 on " in told and "(version)" in told
    assert not (folder / "w").exists()
