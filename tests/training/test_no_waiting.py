"""A training step never makes the host wait for the device."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from ranks import made_up, settings, trained
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForMaskedLM, AutoModelForQuestionAnswering

from lbkd import criterions, weighting
from lbkd.engine.meter import Meter
from lbkd.features.batches import collate
from lbkd.features.masks import Masker
from lbkd.models.attention import fused_attention
from lbkd.models.load import load_config, load_span_model
from lbkd.models.masked import MaskedSpanModel, masked_logits
from lbkd.models.span import unpadded
from lbkd.phrases import Phrases
from lbkd.project import Project
from lbkd.training.loop import TrainingLoop

pytestmark = [pytest.mark.gpu] if torch.cuda.is_available() else []

FAR = torch.device("cuda" if torch.cuda.is_available() else "meta")
"""A GPU, or what stands for it: tensors there have no values that one could ask for."""


class Waits(TorchDispatchMode):
    """Refuses what needs values on the host: numbers, shapes that depend on them, copies that are awaited.

    Where there is a GPU, torch itself refuses whatever waits for it, too.
    """

    ASK = {"_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "_unique2", "equal"}

    def __enter__(self) -> Any:
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("error")
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("default")
        super().__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if name in self.ASK or (name == "index" and any(t.dtype is torch.bool for t in tensors[1:])):
            raise AssertionError(f"{func} waits")
        result = func(*args, **kwargs)
        if name in {"_to_copy", "copy_"}:
            ends = {tensor.device.type for tensor in (*tensors, result)}
            quick = kwargs.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2])
            if len(ends) > 1 and not quick:
                raise AssertionError(f"{func} waits for a copy between {ends}")
        return result


@contextmanager
def watched_steps() -> Iterator[list[None]]:
    """Let every wait in a training's step be an error; the list gets an entry for each step."""
    watched = []

    def step(*args: Any) -> None:
        with Waits():
            watched.append(kept(*args))

    kept = TrainingLoop._optimize
    with mock.patch.object(TrainingLoop, "_optimize", step):
        yield watched


def test_what_waits_is_noticed() -> None:
    x = torch.ones(1)
    for wait in (float, bool, torch.Tensor.item, torch.nonzero, lambda t: t[t > 0]):
        with pytest.raises(AssertionError, match="waits"), Waits():
            wait(x)
    with Waits():
        x.to(FAR, non_blocking=True)
    with pytest.raises((AssertionError, RuntimeError), match="waits for a copy|synchronizing"), Waits():
        x.to(FAR)  # a GPU's RuntimeError is torch's own


@pytest.mark.parametrize(
    ("weighting", "parts"),
    [(None, {}), ("impurity", {"training.micro_batch_size": 4}), ("language-match", {})],
)
def test_a_step_asks_nothing_of_the_device(
    weighting: str | None, parts: dict[str, Any], tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    """With DeepSpeed and all that belongs to it; on the CPU the same operations are called as on a GPU."""
    how = settings(tiny_model_folder, workspace, **parts, **{"training.log_every": 2})
    with watched_steps() as watched:
        run = trained(how, tmp_path, weighting)
    assert len(watched) == 5
    assert [line["step"] for line in run.lines] == [2, 4, 5]


@pytest.fixture(scope="module")
def project(tiny_model_folder: Path, workspace: Path) -> Project:
    return Project(settings(tiny_model_folder, workspace))


@pytest.mark.parametrize("weighting", [None, *sorted(weighting.registry.names())])
def test_teachers_and_losses_do_not_wait(weighting: str | None, project: Project) -> None:
    features = project.train_features
    teachers = None if weighting is None else made_up(project, weighting)
    host = collate(features, features.features([("en", "en"), ("es", "en")])[:5])
    stored = None if teachers is None else teachers.read(host)
    meter = Meter(load_span_model(project.encoder), torch.float32)
    student = [torch.randn(host.mask.shape, device=FAR) for _ in range(2)]
    for name in ("nll",) if weighting is None else ("kd", "combined"):
        with Waits():
            batch = host.to(FAR)
            soft = None if teachers is None or stored is None else teachers.logits(batch, stored)
            loss = criterions.registry.create(name)(unpadded(*student, batch), batch, soft)
            meter.add([(loss, 1.0)], features.lengths(host.windows.feature), 0)
            meter.end_step(torch.zeros((), device=FAR))
    assert meter.sums.keys() >= {"loss", "nll" if weighting is None else "kd"}
    assert all(value.device.type == FAR.type for value in meter.sums.values())


def pretended(model: str) -> torch.nn.Module:
    """A model of that configuration with both heads."""
    config = load_config(model)
    config._attn_implementation = "sdpa"
    with FAR:
        span = AutoModelForQuestionAnswering.from_config(config)
        fused_attention(span)
        return MaskedSpanModel(span, AutoModelForMaskedLM.from_config(config))


def test_a_model_does_not_wait(project: Project) -> None:
    features = project.train_features
    ids = features.features([("en", "en")])
    masker = Masker(features, {"en": Phrases(["of the"])}, 0.15, 4, np.arange(5, 100), 1)
    model = pretended(project.encoder)
    for some in (ids[:4], ids[:1]):  # the latter has no padding
        host, masked = collate(features, some), masker.collate(some, 1)
        with Waits():
            logits, tokens = masked_logits(model, host.to(FAR), masked.to(FAR))
            (logits.start.sum() + tokens.sum()).backward()
        assert logits.start.shape == host.mask.shape
        assert tokens.shape == (len(masked.labels), model.config.vocab_size)
