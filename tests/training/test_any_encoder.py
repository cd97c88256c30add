"""The families of docs/encoders.md: random encoders trained, read by transformers, trimmed, exported."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoders import FRAMES, framed, saved
from ranks import settings
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoModel

from lbkd.engine import meter
from lbkd.exporting.onnx import OUTPUTS, write_network
from lbkd.features.batches import collate
from lbkd.features.tokens import Template
from lbkd.inference import Answerer
from lbkd.inference.onnx_model import session
from lbkd.models.load import load_span_model, load_tokenizer
from lbkd.models.run_card import write_run_card
from lbkd.models.span import span_logits
from lbkd.models.trimming.trimmed import trim_to
from lbkd.planning.model_size import ModelSize, model_size_of
from lbkd.project import Project
from lbkd.training.run import Components
from lbkd.training.steps import train

SPLIT = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+"
ASKED = {"question": "Who painted it?", "context": "Remedios Varo painted it in 1955, in Mexico."}


@pytest.fixture(scope="session")
def words(builtin_texts: tuple[str, ...]) -> Tokenizer:
    """BPE over bytes that looks whole words up first, as Llama 3's; merges do not make all of them."""
    special = ["<pad>", "<s>", "</s>"]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(builtin_texts, trainer)
    state = json.loads(backend.to_str())
    whole = {word for text in builtin_texts for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)}
    known = state["model"]["vocab"]
    for word in sorted(whole - known.keys())[::5]:
        known[word] = len(known)
    state["model"]["ignore_merges"] = True
    return Tokenizer.from_str(json.dumps(state))


def encoder_of(kind: str, words: Tokenizer, folder: Path) -> str:
    tokenizer = framed(words, FRAMES[kind])
    saved(kind, folder, vocab_size=len(tokenizer), num_hidden_layers=2)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FRAMES)
def test_a_family(
    kind: str,
    words: Tokenizer,
    builtin_texts: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = encoder_of(kind, words, tmp_path / "encoder")
    monkeypatch.setattr(meter, "matmul_peak", lambda *_: 1e10)
    few = {"corpus.limit": 1, "training.max_steps": 2, "model.max_length": 128}
    project = Project(settings(Path(encoder), tmp_path / "work", **few))
    run = train(project, Components("baseline"))
    model = load_span_model(str(run / "model")).eval()
    assert model_size_of(str(run / "model")) == ModelSize.of(model)
    _moved(encoder, model)
    features = project.train_features
    batch = collate(features, features.features([("en", "en")])[:4])
    with torch.inference_mode():
        logits = span_logits(model, batch)
        plain = _by_the_card(run, batch)
    for ours, theirs in zip(logits, plain, strict=True):
        torch.testing.assert_close(ours[batch.mask], theirs[batch.mask])
    answer = Answerer(run)(ASKED)
    assert answer["answer"] in ASKED["context"]
    texts = [*ASKED.values(), *builtin_texts[:20]]
    report = trim_to(str(run), texts, 10, tmp_path / "small", lambda *_: None)
    assert report["checked"]["what"] == "start and end logits"
    assert report["trimmed"]["pieces"] < report["whole"]["pieces"]
    assert Answerer(tmp_path / "small")(ASKED)["answer"] == answer["answer"]
    # The exporter takes its time; Gemma's layers are of two kinds.
    one = None if kind.startswith("gemma") else 1
    model = load_span_model(str(run / "model"), layers=one).eval()
    assert model.config.num_hidden_layers == (one or 2)
    _exported(model, Template.of(load_tokenizer(str(run / "model"))), tmp_path / "model.onnx")


def _moved(encoder: str, model: Any) -> None:
    """Training began with the encoder's weights: two steps of 0.001 take none of them far."""
    before, after = AutoModel.from_pretrained(encoder).state_dict(), model.base_model.state_dict()
    apart = [float((after[key] - before[key]).abs().max()) for key in after]
    assert 0 < max(apart) < 0.01


def _by_the_card(run: Path, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits as the code of the model card computes them, without lbkd."""
    write_run_card(run)
    text = (run / "model" / "README.md").read_text(encoding="utf-8")
    [code] = [block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "AutoTokenizer" in block]
    names: dict[str, Any] = {}
    exec(code.replace("path/to/baseline", str(run / "model")), names)
    if "head" not in names:
        out = names["model"](**batch.inputs())
        return out.start_logits, out.end_logits
    hidden = names["encoder"](**batch.inputs()).last_hidden_state
    start, end = torch.nn.functional.linear(hidden, *names["head"]).unbind(-1)
    return start, end


def _exported(model: Any, template: Template, file: Path) -> None:
    """onnxruntime's logits beside torch's, in a batch with padding and alone."""
    write_network(model, template, 512, file)
    run = session(file)
    ids = np.random.default_rng(1).integers(5, 900, (2, 90))
    mask = (np.arange(90) < np.array([[90], [33]])).astype(np.int64)
    for rows, length in ((slice(0, 2), 90), (slice(1, 2), 33)):
        inputs = {"input_ids": ids[rows, :length], "attention_mask": mask[rows, :length]}
        if template.has_types:
            inputs["token_type_ids"] = (
                (np.arange(length) > 20).astype(np.int64)[None].repeat(len(ids[rows]), 0)
            )
        with torch.inference_mode():
            out = model(**{name: torch.from_numpy(array) for name, array in inputs.items()})
        for found, right in zip(run.run(OUTPUTS, inputs), (out.start_logits, out.end_logits), strict=True):
            assert np.abs(found - right.numpy())[inputs["attention_mask"].astype(bool)].max() < 1e-3
            assert np.abs(found).max() > 0.1


def test_whole_words_that_merges_do_not_make_are_trimmed_as_they_are(
    words: Tokenizer, builtin_texts: tuple[str, ...], tmp_path: Path
) -> None:
    encoder = encoder_of("eurobert", words, tmp_path / "encoder")
    merged = json.loads(words.to_str())
    merged["model"]["ignore_merges"] = False
    texts = list(builtin_texts[:40])
    by_merges = Tokenizer.from_str(json.dumps(merged)).encode_batch(texts)
    read = words.encode_batch(texts)
    assert sum(one.ids != other.ids for one, other in zip(read, by_merges, strict=True)) > 20
    report = trim_to(encoder, texts, 100, tmp_path / "small", lambda *_: None)  # checks every text
    assert report["trimmed"]["pieces"] < 0.8 * report["whole"]["pieces"]
    small = load_tokenizer(str(tmp_path / "small"))
    tokens = [small.tokenize(text) for text in texts]
    assert tokens == [encoding.tokens for encoding in read]
    assert json.loads(small.backend_tokenizer.to_str())["model"]["ignore_merges"]
