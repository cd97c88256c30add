from pathlib import Path

import pytest
import torch
from gates import MakeGate
from transformers import PreTrainedModel

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.evaluation.answers import Decoding
from lbkd.evaluation.evaluation_set import EvaluationSet
from lbkd.exporting.gate import Gate
from lbkd.exporting.mixture import Mixtures
from lbkd.exporting.onnx import write_network
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Template, tokenizer_hash
from lbkd.features.windows import WindowSettings
from lbkd.models.load import load_span_model, load_tokenizer

LANGUAGES = ("en", "hi")


@pytest.fixture(scope="session")
def template(tiny_model_folder: Path) -> Template:
    return Template.of(load_tokenizer(str(tiny_model_folder)))


@pytest.fixture(scope="session")
def questions() -> EvaluationSet:
    """Eight or so in two languages."""
    paths = {code: BUILTIN_CORPUS / f"test.{code}.json" for code in LANGUAGES}
    return EvaluationSet("test", ParallelCorpus.read(paths, "en", limit=3), "mlqa")


@pytest.fixture
def gate_of(tiny_model_folder: Path, questions: EvaluationSet, tmp_path: Path) -> MakeGate:
    tokenizer = load_tokenizer(str(tiny_model_folder))
    features = FeatureSet.build(
        questions.corpus, tokenizer, tokenizer_hash(tokenizer), tmp_path, WindowSettings(96, 24, 32)
    )

    def gate_of(model: PreTrainedModel) -> Gate:
        return Gate(model, features, questions, Decoding(30, 1024))

    return gate_of


@pytest.fixture(scope="session")
def ruined(tiny_model_folder: Path) -> PreTrainedModel:
    """A model whose activations in one layer are so wide that in int8 all but two values of each are 0.

    Two channels of the second layer's intermediate outputs are huge, and what follows leaves them out again.
    """
    model = load_span_model(str(tiny_model_folder)).eval()
    layer = model.bert.encoder.layer[1]
    with torch.no_grad():
        layer.intermediate.dense.bias[:2] = 3e4
        layer.output.dense.weight[:, :2] = 0
        layer.output.dense.weight[:, 2:] *= 20  # so that what is lost matters
    return model


@pytest.fixture(scope="session")
def mixtures(
    ruined: PreTrainedModel, template: Template, tmp_path_factory: pytest.TempPathFactory
) -> Mixtures:
    """The ruined model's networks."""
    file = tmp_path_factory.mktemp("ruined") / "model.onnx"
    write_network(ruined, template, 512, file)
    return Mixtures(file)
