"""The gate on a tiny model that int8 ruins, and on numbers worked by hand."""

import numpy as np
import pytest
from conftest import MakeGate
from transformers import PreTrainedModel

from lbkd.exporting.gate import Held
from lbkd.exporting.mixture import Mixtures
from lbkd.exporting.search import search
from lbkd.inference.onnx_model import OnnxReader, session
from lbkd.progress import Silent

RUINED_LAYER = "bert.encoder.layer.1.output.dense"


def held(**more: float) -> Held:
    sizes = {"questions": 200, "f1_torch": 60.0, "f1_exported": 59.7, "same": 198, "logits": 0.2}
    return Held(language="en", **{**sizes, "difference": -0.3, "low": -0.9, "high": 0.1, **more})


def test_what_holds() -> None:
    """The loss as measured is held against the tolerance of int8, the logits against that of fp32."""
    assert held().holds("int8", 0.5)
    assert held(difference=-0.5).holds("int8", 0.5)
    assert not held(difference=-0.51, low=-1.5).holds("int8", 0.5)
    assert held(difference=-0.51).holds("int8", 0.6)
    assert not held().holds("fp32", 0.5)
    assert held(logits=1e-3).holds("fp32", 0.5)


def test_an_fp32_network_answers_as_torch(
    ruined: PreTrainedModel, mixtures: Mixtures, gate_of: MakeGate
) -> None:
    gate = gate_of(ruined)
    reader = OnnxReader(session(mixtures.mixed(mixtures.layers)))
    rows = [gate.held(reader, language) for language in gate.languages]
    assert [row.language for row in rows] == ["en", "hi"]
    for row in rows:
        assert row.questions == row.same > 0
        assert (row.difference, row.low, row.high) == (0, 0, 0)
        assert row.f1_torch == row.f1_exported
        assert row.logits < 1e-4
        assert row.holds("fp32", 0)


def test_a_ruined_layer_stays_in_fp32(ruined: PreTrainedModel, mixtures: Mixtures, gate_of: MakeGate) -> None:
    gate = gate_of(ruined)
    whole = OnnxReader(session(mixtures.mixed(())))
    assert any(not gate.held(whole, language).holds("int8", 0.0) for language in gate.languages)
    spared = OnnxReader(session(mixtures.mixed((RUINED_LAYER,))))
    far, near = (max(apart(reader).max() for apart in gate.sample(4)) for reader in (whole, spared))
    assert near < far / 4
    found = search(mixtures, gate, 0.0, Silent())
    assert max(found.effects, key=lambda name: found.effects[name]) == RUINED_LAYER
    assert found.kept[:1] == (RUINED_LAYER,)


def test_a_language_that_loses_whatever_is_kept(
    ruined: PreTrainedModel, mixtures: Mixtures, gate_of: MakeGate
) -> None:
    """No int8 model gains 1000 F1; the table of the last try has all languages."""
    gate = gate_of(ruined)
    found = search(mixtures, gate, -1000.0, Silent())
    assert not found.holds
    assert [row.language for row in found.rows] == ["en", "hi"]
    assert len(mixtures.layers) / 2 <= 2 * len(found.kept) < 2 * len(mixtures.layers)


def test_nothing_is_kept_without_need(ruined: PreTrainedModel, mixtures: Mixtures, gate_of: MakeGate) -> None:
    found = search(mixtures, gate_of(ruined), 100.0, Silent())
    assert (found.kept, found.effects, found.holds) == ((), {}, True)


@pytest.mark.parametrize("kept", [(), ("bert.encoder.layer.0.output.dense",)])
def test_a_mixture_is_written_whole(mixtures: Mixtures, kept: tuple[str, ...], tmp_path) -> None:
    """The written file gives the numbers of the one that shares its weights, and holds no other weights."""
    import onnx

    mixtures.write(kept, tmp_path / "model.onnx")
    ids = np.random.default_rng(1).integers(5, 4000, (1, 40))
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    mixed, written = (session(file) for file in (mixtures.mixed(kept), tmp_path / "model.onnx"))
    for ours, theirs in zip(mixed.run(None, inputs), written.run(None, inputs), strict=True):
        assert np.array_equal(ours, theirs)
    network = onnx.load(tmp_path / "model.onnx")
    integers = [node for node in network.graph.node if node.op_type == "MatMulInteger"]
    layers = [name for name in mixtures.layers if "embeddings" not in name]
    assert len(integers) == len(layers) - len(kept)
    used = {name for node in network.graph.node for name in node.input}
    assert {each.name for each in network.graph.initializer} <= used
