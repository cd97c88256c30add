"""Runs that train with a cut vocabulary and are saved with the whole one."""

import json
from pathlib import Path

import pytest
import torch
from ranks import settings

from lbkd.engine import meter
from lbkd.evaluation.evaluate import evaluate
from lbkd.features.batches import collate
from lbkd.features.windows import window_settings
from lbkd.models import e5_small
from lbkd.models.load import load_encoder, load_span_model, load_tokenizer
from lbkd.models.span import span_logits
from lbkd.project import Project
from lbkd.tasks import Teacher
from lbkd.training.run import Components
from lbkd.training.steps import cache_logits, train


def test_what_is_saved_reads_every_language(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "matmul_peak", lambda *_: 1e10)
    monkeypatch.setattr(e5_small, "load", lambda: load_encoder(str(tiny_model_folder)))
    monkeypatch.setattr("lbkd.models.prepare.FREQUENT_PIECES", 100)
    chosen = settings(Path("e5-small"), tmp_path, **{"corpus.limit": 2, "training.max_steps": 2})
    mine = Project(chosen)
    run = train(mine, Components("distill"))
    assert len(mine.tokenizer) < 4000
    for folder in (run, run.parent / "branch-mrc.es"):
        assert len(load_tokenizer(str(folder / "model"))) == 4000
        assert load_span_model(str(folder / "model")).config.vocab_size == 4000
        assert (folder / "model" / "tokenizer.json").read_bytes() == (
            tiny_model_folder / "tokenizer.json"
        ).read_bytes()
    rows = evaluate(mine, run)
    assert {row["language"] for row in rows} == set(mine.test_corpus.languages)
    assert json.loads((run / "run.json").read_text())["provenance"]["tokenizer"] == mine.tokenizer_hash

    # the teacher was scored with the cut vocabulary; with the whole one the same logits come out
    teacher = str(run.parent / "branch-mrc.es" / "model")
    whole = mine.test_features(mine.train_corpus, teacher, window_settings(chosen.model))
    stored = cache_logits(mine, Teacher("es", "branch-mrc", {"lang": "es"}))
    ids = stored.features[:8]
    batch = collate(whole, ids)
    with torch.inference_mode():
        expected = span_logits(load_span_model(teacher).eval(), batch)
    for found, logits in zip(stored.read(ids, batch.mask.shape[1]), expected, strict=True):
        steps = logits.masked_fill(~batch.mask, 0).abs().max() / 2000
        torch.testing.assert_close(torch.from_numpy(found), logits, atol=float(steps), rtol=0)
