import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_folders import as_run

from lbkd.config import BUILTIN_CORPUS
from lbkd.inference import Answerer
from lbkd.inference.exported import Exported
from lbkd.models.run_folder import read_run
from lbkd.workspace import damaged

QUESTION, PASSAGE = (
    "When was it built?",
    "The tower was built in 1889 by the company of Gustave Eiffel. " * 30,
)
SETTINGS = {
    "corpus": {"dir": str(BUILTIN_CORPUS), "languages": ["en"], "zero_shot": ["hi"], "limit": 2},
    "model": {"max_length": 96, "max_question_tokens": 16, "window_step": 32},
}


@pytest.fixture
def trimmed_run(lbkd: Callable[..., Any], tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A run whose vocabulary is cut."""
    as_run(tiny_model_folder, tmp_path / "run", SETTINGS)
    done = lbkd("trim", tmp_path / "run", "--frequent", 500, "--out", tmp_path / "trimmed")
    assert done.code == 0, done
    return tmp_path / "trimmed"


def test_an_export(lbkd: Callable[..., Any], trimmed_run: Path, tmp_path: Path) -> None:
    """Of a run with a trimmed vocabulary, on the corpus that the run was trained on."""
    found = lbkd("export", trimmed_run, "--out", "small", "--json").json
    assert found.keys() == {"folder", "precision", "megabytes", "layers", "kept", "scores"}
    assert (found["precision"], found["kept"], found["layers"]) == ("fp32", [], 0)
    assert [row["language"] for row in found["scores"]] == ["en", "hi"]
    for row in found["scores"]:
        assert row["same"] == row["questions"] > 1
        assert row["difference"] == 0
        assert row["logits"] < 1e-3
    folder = Path("small")
    assert damaged(folder) == []
    about = Exported.read(folder)
    assert (about.name, about.precision, about.languages) == ("baseline", "fp32", ("en",))
    assert (about.max_length, about.max_question_tokens, about.window_step) == (96, 16, 32)
    assert list(about.scores) == found["scores"]
    card = (folder / "README.md").read_text()
    assert "| language | questions | F1 torch | F1 exported | difference |" in card
    assert [path.name for path in Path().iterdir() if path.name.startswith(".small")] == []
    asked = {"question": QUESTION, "context": PASSAGE, "top_k": 3}
    ours, theirs = (Answerer(model)(**asked) for model in (folder, trimmed_run))
    for own, other in zip(ours, theirs, strict=True):
        assert own == {**other, "score": pytest.approx(other["score"], rel=1e-3)}


@pytest.mark.slow
def test_int8(lbkd: Callable[..., Any], trimmed_run: Path, tmp_path: Path) -> None:
    done = lbkd("export", trimmed_run, "--int8", "--tolerance", 100, "--out", "small")
    assert done.code == 0, done
    head, en, hi, _, layers, written = done.out.splitlines()
    assert head.split()[:3] == ["language", "questions", "F1"]
    assert (en.split()[0], hi.split()[0]) == ("en", "hi")
    assert layers.startswith("int8: 16 of 16 layers")
    assert written.startswith("written: small (")
    assert Exported.read(Path("small")).precision == "int8"
    assert Answerer(Path("small"))(question=QUESTION, context=PASSAGE)["answer"]


def test_models_that_cannot_be_exported(
    refused: Callable[..., str],
    tiny_model_folder: Path,
    tiny_xlm_folder: Path,
    two_languages: list[str],
    tmp_path: Path,
) -> None:
    out = "--out", "small"
    told = refused("export", tiny_xlm_folder, *out, *two_languages)
    assert "its tokenizer, XLMTokenizer, has no tokenizer.json" in told
    headless = shutil.copytree(tiny_model_folder, tmp_path / "headless")
    config = json.loads((headless / "config.json").read_text())
    (headless / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))
    told = refused("export", headless, *out, *two_languages)
    assert "headless has no head for question answering (BertModel): there are no answers to export" in told
    (headless / "lbkd.json").write_text("{}")
    assert "is an exported model already" in refused("export", headless, *out, *two_languages)
    assert "is no run in" in refused("export", "nowhere", *out, *two_languages)
    assert not (Path("small")).exists()


def test_arguments_that_do_not_fit(
    refused: Callable[..., str], tiny_model_folder: Path, two_languages: list[str]
) -> None:
    (Path("small")).mkdir()
    told = refused("export", tiny_model_folder, "--out", "small", *two_languages)
    assert "small exists already; name another folder, or remove this one." in told
    told = refused("export", tiny_model_folder, "--out", "new", "--tolerance", 1, *two_languages)
    assert "--tolerance 1: belongs to --int8; add that, or leave this out." in told
    refused("export", tiny_model_folder, "--out", "new", "--int8", "--tolerance", -1, *two_languages)


def test_a_run_whose_corpus_is_gone(
    refused: Callable[..., str], tiny_model_folder: Path, tmp_path: Path
) -> None:
    corpus = {**SETTINGS["corpus"], "dir": "gone"}
    run = as_run(tiny_model_folder, tmp_path / "run", {"corpus": corpus})
    assert read_run(run) is not None
    told = refused("export", run, "--out", "new")
    assert "the corpus that it was trained on, gone, is not there. Name the folder with the questions" in told
