"""Selects an epoch's weights by F1 on questions of the source language that no test set has."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING

import torch

from lbkd.corpus.overlap import shared_questions
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.errors import ConfigError
from lbkd.evaluation.answers import Decoding, answers_by_question
from lbkd.evaluation.evaluation_set import EvaluationSet, tests_at_hand
from lbkd.evaluation.scored import scored
from lbkd.evaluation.torch_reader import TorchReader
from lbkd.features.windows import window_settings
from lbkd.project import Project

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Weights = Mapping[str, torch.Tensor]


def selection_set(project: Project, split: str) -> EvaluationSet:
    """The questions of `training.select_on`, in the source language.

    Raises:
        ConfigError: a split that is evaluated on, or one that shares questions with a test set at hand: the
            corpus's own, or a benchmark in `corpus.benchmarks`.
        DataError: the split's file is missing or faulty.
    """
    settings = project.settings
    source = settings.corpus.source
    corpus = ParallelCorpus.read({source: settings.path(split, source)}, source, settings.corpus.limit)
    for name, test in tests_at_hand(project, [source]):
        if shared := len(shared_questions(test, corpus)):
            raise ConfigError(
                f"training.select_on = {split!r}: {shared} of its questions are in the test set {name}. A "
                "model that was chosen by its test questions would be judged by them too; name another "
                "split, or another corpus.test if this one is not what you test on."
            )
    return EvaluationSet(split, corpus, settings.evaluation.metric)


def selector(
    project: Project, evaluation_set: EvaluationSet, model: "PreTrainedModel"
) -> Callable[[Weights], float]:
    """A function from weights to the model's F1 in percent; rank 0 calls it, at any ZeRO stage."""
    source, how = project.settings.corpus.source, project.settings.evaluation
    dtype = compute_dtype(project.settings.runtime.precision)
    features = project.test_features(
        evaluation_set.corpus, project.encoder, window_settings(project.settings.model)
    )
    golds = evaluation_set.golds(source, source)
    judge = deepcopy(model) if project.rank == 0 else model

    def f1(weights: Weights) -> float:
        judge.load_state_dict(dict(weights))
        torch.nn.Module.to(judge, current_device())
        found = answers_by_question(
            TorchReader(judge, dtype),
            features,
            (source, source),
            Decoding(how.max_answer_tokens, how.batch_tokens),
        )
        _, score = scored(dict(found), golds, evaluation_set.metric, source)
        torch.nn.Module.to(judge, "cpu")
        return score.f1

    return f1
