import json
import random
from pathlib import Path

import pytest

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus import packed, squad
from lbkd.corpus.packed import read_packed
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.errors import DataError

ODD = {
    "data": [
        {
            "title": "Ä 🙂",
            "paragraphs": [
                {
                    "context": "ein 🙂 Haus",
                    "qas": [
                        {
                            "id": "ü1",
                            "question": "Was?",
                            "answers": [
                                {"text": "🙂", "answer_start": 4},
                                {"text": "Haus", "answer_start": 6},
                            ],
                        },
                        {"id": "2", "question": "Wo?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        },
        {"title": "leer", "paragraphs": [{"context": "nichts", "qas": []}]},
    ]
}


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Letters of several bytes, two answers, none, and a passage without questions."""
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(ODD))
    return path


def test_what_is_packed_is_what_the_file_says(odd: Path, tmp_path: Path) -> None:
    for path in (odd, BUILTIN_CORPUS / "train.de.json"):
        plain = squad.read(path, "de")
        for _ in range(2):  # packed now, and found packed
            kept = read_packed(path, "de", tmp_path / "corpus")
            assert (kept.path, kept.language, len(kept.questions)) == (path, "de", len(plain.questions))
            for name in ("passages", "articles", "titles", "questions", "ids", "question_texts"):
                mine, theirs = getattr(kept, name), getattr(plain, name)
                assert list(mine) == list(theirs), name
                assert [mine[n] for n in range(-len(mine), len(mine))] == [*theirs, *theirs], name
                assert list(mine[1:3]) == list(theirs[1:3]), name
            assert kept.columns.tolist() == plain.columns.tolist()
            assert kept.content == plain.content
    with pytest.raises(IndexError):
        kept.passages[len(kept.passages)]


def test_the_same_bytes_each_time(odd: Path, tmp_path: Path) -> None:
    def written(folder: Path) -> bytes:
        read_packed(odd, "de", folder)
        [file] = folder.iterdir()
        return file.read_bytes()

    assert len({written(tmp_path / str(n)) for n in range(4)}) == 1


def test_columns_by_hand(odd: Path) -> None:
    assert squad.read(odd, "de").columns.tolist() == [[0, 0], [4, -1], [5, -1]]


def test_a_second_reading_parses_nothing(odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_packed(odd, "de", tmp_path / "corpus")
    monkeypatch.delattr(packed.squad, "read")
    moved = odd.rename(tmp_path / "other.json")
    assert read_packed(moved, "de", tmp_path / "corpus").passages[0] == "ein 🙂 Haus"


def test_a_changed_file_is_packed_anew(odd: Path, tmp_path: Path) -> None:
    before = read_packed(odd, "de", tmp_path / "corpus")
    odd.write_text(json.dumps(ODD).replace("nichts", "etwas"))
    after = read_packed(odd, "de", tmp_path / "corpus")
    assert (before.passages[1], after.passages[1]) == ("nichts", "etwas")
    assert before.content != after.content
    assert [path.suffix for path in (tmp_path / "corpus").iterdir()] == [".packed"] * 2


def test_a_faulty_file_is_refused_as_ever(odd: Path, tmp_path: Path) -> None:
    odd.write_text(json.dumps(ODD).replace('"answer_start": 6', '"answer_start": 5'))
    with pytest.raises(DataError, match="1 fault"):
        read_packed(odd, "de", tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("limit", [None, 3])
def test_a_packed_corpus_is_the_same_corpus(tmp_path: Path, limit: int | None) -> None:
    paths = {code: BUILTIN_CORPUS / f"train.{code}.json" for code in ("en", "es", "de")}
    plain = ParallelCorpus.read(paths, "en", limit)
    kept = ParallelCorpus.read(paths, "en", limit, tmp_path / "corpus")
    assert kept.question_ids == plain.question_ids
    assert kept.fingerprint() == plain.fingerprint()
    for code in paths:
        assert kept.rows[code].tolist() == plain.rows[code].tolist()
        assert list(kept.datasets[code].questions) == list(plain.datasets[code].questions)


def test_every_flipped_bit_and_every_cut_is_noticed(odd: Path, tmp_path: Path) -> None:
    """Whatever the damage, the file is packed anew and says what it said."""
    folder = tmp_path / "corpus"
    content = read_packed(odd, "de", folder).content
    [place] = folder.iterdir()
    whole = place.read_bytes()
    chance = random.Random(0)
    damages = [
        whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :]
        for at in range(len(whole))
    ]
    damages += [whole[:at] for at in range(0, len(whole), 7)] + [whole[:-1], whole + b"x", bytes(len(whole))]
    for damaged in damages:
        place.write_bytes(damaged)
        kept = read_packed(odd, "de", folder)
        assert kept.content == content
        assert place.read_bytes() != damaged
        assert list(kept.passages) == ["ein 🙂 Haus", "nichts"]
