import re
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from run_folders import as_run, described

from lbkd.config import BUILTIN_CORPUS, Settings
from lbkd.features.labels import Ceiling
from lbkd.models.calibration import Calibration, FittedOn, content_of
from lbkd.models.card import Card, write_card
from lbkd.models.run_card import run_card, write_run_card
from lbkd.models.run_folder import trained
from lbkd.workspace import damaged, write_manifest, write_sealed

MEASURES = tuple(
    {"on": "test", "language": language, "questions": 60, "temperature": 1.5}
    | {"before": {"ece": 0.25}, "after": {"ece": 0.034}}
    for language in ("en", "all")
)
FITTED = FittedOn(name="dev", corpus="c", questions={"en": 60, "hi": 70}, metric="mlqa")


def row(language: str, asked: str | None = None) -> dict[str, Any]:
    pair = {"language": language, "question_language": asked or language}
    return {**pair, "exact_match": 50.126, "f1": 61.5, "questions": 1190}


def test_a_card_without_scores(tmp_path: Path) -> None:
    """Norwegian's code is no YAML boolean; 1207 of 1234 is 97.8 %."""
    ceilings = {"no": Ceiling(1234, 1207), "ja": Ceiling(0, 0)}
    write_card(tmp_path, Card("distill", ["no", "ja"], "path/to/distill", ceilings=ceilings))
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.language == ["no", "ja"]
    assert card.data.pipeline_tag == "question-answering"
    assert card.data.eval_results is None
    lines = card.text.splitlines()
    assert "# distill" in lines
    assert {"| no | 1,234 | 97.8% |", "| ja | 0 | 100.0% |"} <= {*lines}
    assert "lbkd does not know the data's licence" in card.text
    assert "Not calibrated" in card.text


@pytest.fixture
def run(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A run of the corpus that ships, with scores in a trained and in a zero-shot language."""
    folder = as_run(tiny_model_folder, tmp_path / "run")
    about = described().model_copy(update={"ceilings": {"en": (126, 120), "es": (126, 118), "de": (126, 1)}})
    about.write(folder)
    provenance = {"model": content_of(folder)}
    for name, rows in (("xquad", [row("en"), row("hi")]), ("xquad.matrix", [row("en", "hi")])):
        write_sealed(folder / "eval" / f"{name}.json", {"provenance": provenance, "rows": rows})
    write_sealed(folder / "eval" / "old.json", {"provenance": {"model": "another"}, "rows": [row("en")]})
    return folder


def test_a_run_s_card_is_read_by_hubs(run: Path) -> None:
    known = Calibration(
        temperature=1.75,
        temperatures={"en": 1.5},
        no_answer_threshold=-0.5,
        model=content_of(run),
        fitted_on=FITTED,
        measures=MEASURES,
    )
    known.write(run)
    write_run_card(run)
    assert trained(run).run is not None  # the manifest is right
    card = ModelCard.load(run / "model" / "README.md")
    card.validate = None  # type: ignore[method-assign,assignment]  # which would ask the hub
    assert card.data.language == ["en", "es", "de"]
    assert card.data.base_model == "intfloat/multilingual-e5-small"
    found = {
        (each.dataset_type, each.dataset_config, each.metric_type): (each.metric_name, each.metric_value)
        for each in card.data.eval_results
    }
    assert found == {
        ("xquad", "en", "exact_match"): ("EM", 50.13),
        ("xquad", "en", "f1"): ("F1", 61.5),
        ("xquad", "hi", "exact_match"): ("EM (zero-shot)", 50.13),
        ("xquad", "hi", "f1"): ("F1 (zero-shot)", 61.5),
    }
    for line in (
        "| xquad | en | 50.1 | 61.5 | 1,190 |",
        "| xquad | hi* | 50.1 | 61.5 | 1,190 |",
        "| en | test | 1.50 | 60 | 25.0 | 3.4 |",
        "| es | 126 | 93.7% |",
        "| `model.max_length` | `384` |",
    ):
        assert line in card.text.splitlines()
    assert "130 questions of dev" in card.text
    assert "the temperature is 1.75" in card.text
    assert "from -0.50 over the best span" in card.text
    assert "CC BY 4.0 (the corpus that ships with lbkd)" in card.text
    assert "378 questions with an answer" in card.text


def test_a_card_written_again_changes_no_checksum_but_its_own(run: Path) -> None:
    content = content_of(run)
    for _ in range(2):
        write_run_card(run)
        assert trained(run).run is not None
        assert content_of(run) == content


def test_an_edited_card_stays_and_the_model_is_read(run: Path) -> None:
    write_run_card(run)
    card = run / "model" / "README.md"
    for text in ("My words.", ""):
        card.write_text(text)
        write_run_card(run)
        assert card.read_text() == text
        assert trained(run).run is not None
    card.unlink()
    write_run_card(run)
    assert "xquad" in card.read_text()


def test_an_edited_card_of_an_export(tmp_path: Path) -> None:
    for name in ("README.md", "model.onnx"):
        (tmp_path / name).write_text("as written")
    write_manifest(tmp_path)
    (tmp_path / "README.md").write_text("edited")
    assert damaged(tmp_path) == []


def test_licences_of_downloaded_files(tiny_model_folder: Path, tmp_path: Path) -> None:
    given = {"corpus": {"dir": str(tmp_path / "data" / "squad"), "languages": ["en", "es"]}}
    run = as_run(tiny_model_folder, tmp_path / "run", given)
    card = run_card(run)
    assert card is not None
    assert card.licences == []
    (tmp_path / "data").mkdir()
    for name in ("squad", "translate-train", "xquad"):
        (tmp_path / "data" / f"{name}.manifest.json").touch()
    card = run_card(run)
    assert card is not None
    assert card.licences == ["CC BY-SA 4.0 (squad)", "CC BY-SA 3.0 (translate-train)"]
    assert str(tmp_path) not in str(card)


def test_native_languages_are_no_translations(tiny_model_folder: Path, tmp_path: Path) -> None:
    corpus = {"languages": ["en", "es", "sw", "ko"], "native": ["sw", "ko", "fi"]}
    card = run_card(as_run(tiny_model_folder, tmp_path / "run", {"corpus": corpus}))
    assert card is not None
    [told] = card.data
    assert told.endswith(" written in en, with translations into es, with questions of their own in sw, ko.")


def test_an_exported_folder_s_card(tmp_path: Path) -> None:
    write_card(tmp_path, Card("distill", ["en"], "out", gate="Held.\n\n| en |\n|---|\n| 61.5 |"))
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.library_name == "onnx"
    assert "## ONNX" in card.text
    assert "| 61.5 |" in card.text
    assert "from transformers" not in card.text


def test_the_code_for_transformers_5_runs(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run_card(run)
    text = (run / "model" / "README.md").read_text(encoding="utf-8")
    [code] = [block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "AutoModel" in block]
    with torch.random.fork_rng():
        exec(code.replace("path/to/baseline", str(run / "model")), {})
    assert capsys.readouterr().out.strip() in "Lo hizo Ana."


def test_settings_of_the_corpus_that_ships() -> None:
    assert Settings().corpus.dir == BUILTIN_CORPUS
