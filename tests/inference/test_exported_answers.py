"""An exported model answers as the model that it was exported from."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import ACCUSED, FOUNDED, LIBRARIES, LONG, PASSAGE, QUESTION, UNANSWERED, same

from lbkd.errors import ConfigError, DataError
from lbkd.features.windows import WindowRule
from lbkd.inference import Answerer
from lbkd.inference.exported import Exported
from lbkd.inference.onnx_model import OnnxReader

ALONE = """import json, sys
from lbkd.inference import Answerer
print(json.dumps(Answerer(sys.argv[1])(question=sys.argv[2], context=sys.argv[3], top_k=3)))
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))"""


PREDICT = """import json, sys
from lbkd_cli.main import app
from lbkd_cli.options import Invocation
app(sys.argv[1:], standalone_mode=False, obj=Invocation(sys.argv[1:]))
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))"""


@pytest.fixture(scope="module")
def taught(taught_folder: Path) -> Answerer:
    return Answerer(taught_folder)


@pytest.fixture(scope="module")
def exported(exported_folder: Path) -> Answerer:
    return Answerer(exported_folder, device=-1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"top_k": 5},
        {"top_k": 3, "handle_impossible_answer": True},
        {"align_to_words": True, "top_k": 2},
        {"max_seq_len": 60, "max_question_len": 20, "doc_stride": 10, "max_answer_len": 4},
        {"batch_size": 1},
    ],
)
def test_the_same_answers(taught: Answerer, exported: Answerer, options: dict[str, Any]) -> None:
    pairs = [part[:2] for part in (FOUNDED, ACCUSED, LIBRARIES, UNANSWERED)] + [(QUESTION, LONG)]
    asked = {"question": [question for question, _ in pairs], "context": [context for _, context in pairs]}
    assert same(exported(**asked, **options), taught(**asked, **options))


def test_other_batches_give_the_very_same_scores(exported: Answerer) -> None:
    """Each window is read alone, so that no other question changes a bit."""
    together = exported(question=[QUESTION, "When?", QUESTION], context=[PASSAGE, LONG, LONG])
    alone = [
        exported(question=q, context=c) for q, c in ((QUESTION, PASSAGE), ("When?", LONG), (QUESTION, LONG))
    ]
    assert together == alone


def test_logits(taught: Answerer, exported: Answerer) -> None:
    from lbkd.features.batches import Batch
    from lbkd.features.collate import collated
    from lbkd.models.span import span_logits

    rule = WindowRule(60, 20, 10, specials=3)
    features = exported._features([(QUESTION, LONG), ("When?", PASSAGE)], rule, ("any", "any"))
    batch = collated(features, features.features([("any", "any")]))
    assert len(batch.mask) > 2
    assert not batch.mask.all()
    reader = exported.loaded.reader
    assert isinstance(reader, OnnxReader)
    for mine, theirs in zip(
        reader.logits(batch), span_logits(taught.loaded.reader.model, Batch.of(batch)), strict=True
    ):
        assert mine.dtype == np.float32
        assert np.array_equal(np.isinf(mine), ~batch.mask)
        assert np.allclose(mine, theirs.detach().numpy(), atol=1e-4)


def test_neither_torch_nor_transformers_is_imported(exported_folder: Path, exported: Answerer) -> None:
    asked = ["--question", QUESTION, "--passage", PASSAGE, "--json"]
    for command in (
        [ALONE, str(exported_folder), QUESTION, PASSAGE],
        [PREDICT, "predict", "--model", str(exported_folder), *asked],
    ):
        done = subprocess.run([sys.executable, "-c", *command], capture_output=True, text=True, check=True)
        answers, _, packages = done.stdout.rpartition("[")
        assert json.loads(answers) == exported(question=QUESTION, context=PASSAGE, top_k=3)
        assert "onnxruntime" in packages
        assert not {"torch", "transformers", "deepspeed", "onnx", "huggingface_hub"} & {
            *json.loads(f"[{packages}")
        }


@pytest.mark.parametrize("device", ["cuda", 0, "cuda:1"])
def test_other_devices(exported_folder: Path, device: Any) -> None:
    with pytest.raises(ConfigError, match="exported models are computed on the CPU. Leave the device out"):
        Answerer(exported_folder, device)


def test_languages_that_nobody_asked_for(exported: Answerer) -> None:
    with pytest.raises(ConfigError, match="this model takes no languages"):
        exported(question=QUESTION, context=PASSAGE, lang="en")


def test_too_long_a_window(exported: Answerer) -> None:
    with pytest.raises(ConfigError, match="max_seq_len = 513: this model reads at most 512 tokens"):
        exported(question=QUESTION, context=PASSAGE, max_seq_len=513)


def test_a_network_that_is_none(tmp_path: Path, exported_folder: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no network")
    (tmp_path / "tokenizer.json").write_bytes((exported_folder / "tokenizer.json").read_bytes())
    Exported.read(exported_folder).write(tmp_path)
    with pytest.raises(DataError, match=r"model\.onnx: onnxruntime .* cannot load it: .*`lbkd export`"):
        Answerer(tmp_path)


def test_without_onnxruntime(exported_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"exported models need a package: pip install 'lbkd\[onnx\]'"):
        Answerer(exported_folder)


@pytest.mark.parametrize(("told", "threads"), [("3", 3), ("2,1", 2), ("", None), ("no", None), ("0", None)])
def test_threads(
    exported_folder: Path, monkeypatch: pytest.MonkeyPatch, told: str, threads: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    session = Answerer(exported_folder).loaded.reader.session
    expected = threads or len(os.sched_getaffinity(0))
    assert session.get_session_options().intra_op_num_threads == expected
