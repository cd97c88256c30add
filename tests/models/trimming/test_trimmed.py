"""Trimmed models in folders of their own, and what is said of them."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from run_folders import as_run, described
from transformers import (
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForSequenceClassification,
    BertForTokenClassification,
    PreTrainedModel,
)

from lbkd.errors import ConfigError, DataError
from lbkd.features.tokens import tokenizer_hash
from lbkd.inference import Answerer
from lbkd.models.load import load_config, load_encoder, load_tokenizer
from lbkd.models.run_folder import trained
from lbkd.models.trimming.compare import Reader, check, sample
from lbkd.models.trimming.probes import PROBES
from lbkd.models.trimming.trim import trim_vocabulary
from lbkd.models.trimming.trimmed import trim_to

PASSAGE = "La Torre Eiffel fue construida en 1889 por la empresa de Gustave Eiffel, en París."
ASKED = [
    {"question": "Who built it?", "context": PASSAGE},
    {"question": "¿Cuándo?", "context": PASSAGE},
]
TEXTS = sorted({text for pair in ASKED for text in pair.values()})


def silent(what: str, done: int, total: int, numbers: Mapping[str, float]) -> None:
    """Hears of nothing."""


def test_a_model_folder(tiny_model_folder: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    out = tmp_path / "new" / "small"
    report = trim_to(str(tiny_model_folder), TEXTS, 50, out, lambda *what: told.append(what[:3]))
    assert told[:2] == [("texts read", 3, 3), ("texts checked", 3, 3)]
    assert report["checked"] == {
        "texts": 3,
        "windows": 3,
        "what": "start and end logits",
        "largest_difference": 0.0,
    }
    whole, trimmed = report["whole"], report["trimmed"]
    for folder, numbers in ((tiny_model_folder, whole), (out, trimmed)):
        files = [folder / name for name in ("model.safetensors", "tokenizer.json")]
        assert numbers["megabytes"] == pytest.approx(sum(f.stat().st_size for f in files) / 1e6, abs=0.01)
        assert numbers["pieces"] == len(load_tokenizer(str(folder)))
    assert trimmed["parameters"] == whole["parameters"] - 32 * (whole["pieces"] - trimmed["pieces"])
    assert trimmed["pieces"] < 0.3 * whole["pieces"]
    assert Answerer(out)(ASKED, top_k=3) == Answerer(tiny_model_folder)(ASKED, top_k=3)
    assert [path.name for path in out.parent.iterdir()] == ["small"]


def test_a_run_folder_stays_one(tiny_model_folder: Path, tmp_path: Path) -> None:
    """With its settings, and another tokenizer's fingerprint; its scores are not those of the new model."""
    how = {"model": {"max_length": 40, "max_question_tokens": 8, "window_step": 5}}
    hashed = tokenizer_hash(load_tokenizer(str(tiny_model_folder)))
    run = as_run(tiny_model_folder, tmp_path / "run", how, tokenizer=hashed, corpus="x")
    (run / "eval").mkdir()
    trim_to(str(run), TEXTS, 0, tmp_path / "out", silent)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["model", "run.json"]
    new = tokenizer_hash(load_tokenizer(str(tmp_path / "out" / "model")))
    assert new != hashed
    assert trained(tmp_path / "out").run == described(how, tokenizer=new, corpus="x")
    assert Answerer(tmp_path / "out")(ASKED, top_k=3) == Answerer(run)(ASKED, top_k=3)


def test_refusals_write_nothing(tiny_model_folder: Path, tiny_xlm_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name, texts, out, message in [
        (tiny_model_folder, TEXTS, "there", "there exists already; name another folder"),
        (tiny_model_folder, [], "out", "no texts whose pieces are to be kept"),
        (tiny_xlm_folder, TEXTS, "out", "XLMTokenizer, a slow tokenizer"),
        (tmp_path / "none", TEXTS, "out", "no usable folder or hub model"),
    ]:
        with pytest.raises(ConfigError, match=message):
            trim_to(str(name), texts, 0, tmp_path / out, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def saved(model: PreTrainedModel, like: Path, folder: Path) -> Path:
    """The model with the tokenizer of another folder."""
    model.save_pretrained(folder)
    load_tokenizer(str(like)).save_pretrained(folder)
    return folder


def test_a_head_of_another_kind_is_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    config = load_config(str(tiny_model_folder))
    for kind in (BertForSequenceClassification, BertForTokenClassification, BertForMultipleChoice):
        other = saved(kind(config), tiny_model_folder, tmp_path / kind.__name__)
        with pytest.raises(ConfigError, match=f"is a {kind.__name__}, whose head would be lost"):
            trim_to(str(other), TEXTS, 0, tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()


def test_a_language_modelling_head_is_left_out_and_told(tiny_model_folder: Path, tmp_path: Path) -> None:
    model = BertForMaskedLM(load_config(str(tiny_model_folder)))
    whole = saved(model, tiny_model_folder, tmp_path / "whole")
    assert trim_to(str(whole), TEXTS, 0, tmp_path / "out", silent)["left_out"] == "BertForMaskedLM"
    assert load_config(str(tmp_path / "out")).architectures == ["BertModel"]
    assert trim_to(str(tmp_path / "out"), TEXTS, 0, tmp_path / "again", silent)["left_out"] is None


def test_the_price_in_pieces_per_character(tiny_model_folder: Path, tmp_path: Path) -> None:
    """English has no text among those that count; the Spanish probe has one, and loses nothing."""
    report = trim_to(str(tiny_model_folder), [*TEXTS, PROBES["es"]], 0, tmp_path / "out", silent)
    for part, folder in (("whole", tiny_model_folder), ("trimmed", tmp_path / "out")):
        tokenizer = load_tokenizer(str(folder))
        found = {name: len(tokenizer.tokenize(text)) / len(text) for name, text in PROBES.items()}
        assert report[part]["pieces_per_character"] == found
    before, after = (report[part]["pieces_per_character"] for part in ("whole", "trimmed"))
    assert before["es"] == after["es"]
    assert before["en"] < after["en"]


def test_what_differs_is_found(tiny_model_folder: Path) -> None:
    whole, trimmed = (Reader(*load_encoder(str(tiny_model_folder))) for _ in range(2))
    kept = trim_vocabulary(*trimmed, TEXTS, 0)
    for reader in (whole, trimmed):
        reader.model.train(False)
    assert check(whole, trimmed, kept, TEXTS, 384, silent)["largest_difference"] == 0
    with pytest.raises(DataError, match="cuts into other pieces 'unfathomable': .*Nothing was written"):
        check(whole, trimmed, kept, ["unfathomable"], 384, silent)
    with pytest.raises(DataError, match="cuts into other pieces"):
        check(whole, trimmed, [0, *kept[:-1]], TEXTS, 384, silent)
    with torch.no_grad():
        trimmed.model.qa_outputs.bias += 0.1
    with pytest.raises(DataError, match="computes other numbers for"):
        check(whole, trimmed, kept, TEXTS, 384, silent)


def test_the_sample_is_spread_over_all() -> None:
    texts = [str(n) for n in range(10)]
    assert sample(texts, 5) == ["0", "2", "4", "6", "8"]
    assert sample(texts, 4) == ["0", "3", "6", "9"]
    assert sample(texts, 99) == texts
