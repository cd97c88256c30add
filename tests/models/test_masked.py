from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lbkd.errors import ConfigError
from lbkd.models.flops import head_flops
from lbkd.models.load import load_masked_language_model, load_span_model
from lbkd.models.masked import MaskedSpanModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

SMALL = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
NAMED_OTHERWISE = {"vocab_size": 100, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": SMALL,
    "xlm-roberta": SMALL,
    "electra": {**SMALL, "embedding_size": 32},
    "albert": {**SMALL, "embedding_size": 16},
    "distilbert": {**NAMED_OTHERWISE, "dim": 32, "hidden_dim": 64},
    "xlm": {**NAMED_OTHERWISE, "emb_dim": 32},
    "mpnet": SMALL,
    "deberta-v2": SMALL,
    "modernbert": {**SMALL, **dict.fromkeys(("pad_token_id", "cls_token_id", "sep_token_id"), 1)},
}


def saved(family: str, folder: Path, kind: str = "AutoModelForMaskedLM") -> str:
    """A random model of a family; its weights differ more than those that a head begins with."""
    import transformers

    config = transformers.AutoConfig.for_model(family, **FAMILIES[family])
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = getattr(transformers, kind).from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) / 10)
    model.save_pretrained(folder)
    return str(folder)


def inputs(rows: int) -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 100, (rows, 10), generator=torch.Generator().manual_seed(rows))
    mask = torch.ones_like(ids)
    mask[0, 8:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def two_heads(name: str) -> "tuple[MaskedSpanModel, PreTrainedModel, PreTrainedModel]":
    """The model, and its two halves as they were loaded, all without dropout."""
    halves = load_span_model(name), load_masked_language_model(name)
    span = load_span_model(name)
    span.load_state_dict(halves[0].state_dict())
    model = MaskedSpanModel(span, load_masked_language_model(name))
    model.eval()
    return model, halves[0].eval(), halves[1].eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_both_heads_say_what_they_say_alone(family: str, tmp_path: Path) -> None:
    """With the checkpoint's own head, on one encoder."""
    model, span, language = two_heads(saved(family, tmp_path))
    chosen = torch.rand(3, 10, generator=torch.Generator().manual_seed(1)) < 0.4
    with torch.no_grad():
        start, end, tokens = model(inputs(2), inputs(3), chosen.flatten().nonzero()[:, 0])
        answers, words = span(**inputs(2)), language(**inputs(3)).logits
    assert tokens.shape == (int(chosen.sum()), 100)
    assert torch.allclose(tokens, words[chosen], atol=1e-5)
    assert torch.allclose(start, answers.start_logits, atol=1e-6)
    assert torch.allclose(end, answers.end_logits, atol=1e-6)
    assert words.std() > 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_one_encoder_learns_from_both(family: str, tmp_path: Path) -> None:
    model, *_ = two_heads(saved(family, tmp_path))
    names = [name for name, _ in model.named_parameters()]
    encoder = {id(p) for p in model.base_model.parameters()}
    inside = [name for name, p in model.named_parameters() if id(p) in encoder]
    assert all(name.startswith("span.") for name in inside)  # the head holds no second encoder
    assert len(inside) == len(encoder)
    heads = [name for name in names if name not in inside]
    assert any(name.startswith("head.") for name in heads)
    vectors = model.get_input_embeddings().weight
    assert any(p is vectors for p in model.head.parameters()), "the output embeddings are the word vectors"

    start, end, tokens = model(inputs(2), inputs(3), torch.arange(30))
    for part in (start.sum() + end.sum(), tokens.square().sum()):
        model.zero_grad()
        part.backward(retain_graph=True)
        assert all(p.grad is not None and p.grad.any() for p in [vectors])


def test_no_token_chosen(tmp_path: Path) -> None:
    model, *_ = two_heads(saved("bert", tmp_path))
    _, _, tokens = model(inputs(2), inputs(3), torch.arange(0))
    assert tokens.shape == (0, 100)
    tokens.sum().backward()
    assert not any(p.grad.any() for p in model.parameters() if p.grad is not None)


def test_what_is_saved_is_the_span_model(tmp_path: Path) -> None:
    model, span, _ = two_heads(saved("bert", tmp_path))
    weights = MaskedSpanModel.span_weights(model.state_dict())
    assert weights.keys() == span.state_dict().keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in span.state_dict().items())


def test_a_head_that_the_folder_lacks_is_new(tmp_path: Path) -> None:
    name = saved("bert", tmp_path, "AutoModel")
    torch.manual_seed(1)
    one = load_masked_language_model(name)
    again = load_masked_language_model(name)
    dense = "cls.predictions.transform.dense.weight"
    assert not torch.equal(one.state_dict()[dense], again.state_dict()[dense])
    encoder = load_span_model(name).base_model.state_dict()
    for key, tensor in one.base_model.state_dict().items():
        assert torch.equal(tensor, encoder[key])


def test_operations_of_the_head_are_those_that_torch_counts(tmp_path: Path) -> None:
    for frozen in (False, True):
        model, *_ = two_heads(saved("bert", tmp_path))
        model.get_input_embeddings().requires_grad_(not frozen)
        hidden = torch.randn(7, 32, requires_grad=True)
        counter = FlopCounterMode(display=False)
        with counter:
            model.head(inputs_embeds=hidden[None]).logits.sum().backward()
        assert 7 * head_flops(model.head) == counter.get_total_flops()


def test_a_model_that_cannot_tell_masked_tokens(tmp_path: Path) -> None:
    from transformers import SplinterConfig, SplinterForQuestionAnswering

    SplinterForQuestionAnswering(SplinterConfig(**SMALL)).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=f"model '{tmp_path}': no usable folder"):
        load_masked_language_model(str(tmp_path))


def test_the_mask_token_of_e5_small_survives_trimming(
    e5_small: Path, e5_tokenizer: "PreTrainedTokenizerFast"
) -> None:
    from lbkd.models import e5_small as whole

    model, tokenizer = whole.load()
    mine = load_masked_language_model(str(e5_small))
    assert e5_tokenizer.mask_token == "<mask>"
    assert e5_tokenizer.mask_token_id == len(e5_tokenizer) - 1
    rows = [m.get_input_embeddings().weight for m in (mine, model)]
    assert torch.equal(rows[0][e5_tokenizer.mask_token_id], rows[1][tokenizer.mask_token_id])
    assert e5_tokenizer("x <mask> y")["input_ids"].count(e5_tokenizer.mask_token_id) == 1
    assert mine.get_output_embeddings().weight is mine.get_input_embeddings().weight
