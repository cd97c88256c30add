import json
from pathlib import Path

import torch

from lbkd.models.attention import fused_attention
from lbkd.models.load import load_span_model


def test_it_is_that_of_transformers(tiny_model_folder: Path, tmp_path: Path) -> None:
    model, plain = (load_span_model(str(tiny_model_folder)).eval() for _ in range(2))
    plain.set_attn_implementation("sdpa")
    ids = torch.randint(5, 100, (3, 12), generator=torch.Generator().manual_seed(1))
    for lengths in ([12, 7, 3], [12, 12, 12]):
        mask = torch.arange(12) < torch.tensor(lengths)[:, None]
        with torch.no_grad():
            ours, theirs = (m(ids, mask.long()).start_logits for m in (model, plain))
            alone = [
                model(row[None, :length]).start_logits[0] for row, length in zip(ids, lengths, strict=True)
            ]
        assert torch.allclose(ours, theirs, atol=1e-6)
        for row, logits, length in zip(ours, alone, lengths, strict=True):
            assert torch.allclose(row[:length], logits, atol=1e-6)  # padding is not seen
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert not [name for name, value in config.items() if value == model.config._attn_implementation]


def test_others_stay_as_they_are(tiny_model_folder: Path) -> None:
    model = load_span_model(str(tiny_model_folder))
    model.set_attn_implementation("eager")
    fused_attention(model)
    assert model.config._attn_implementation == "eager"
