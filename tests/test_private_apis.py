"""Private parts of other libraries that lbkd relies on, and a test that tells which one a new version lacks.

All were seen in torch 2.13, transformers 5.23, DeepSpeed 0.19.8 and CPython 3.11:

torch
    `torch._C._distributed_c10d.HashStore`: a process group of one process opens no port
    (distributed/group.py).
    `torch.distributed.distributed_c10d._set_pg_timeout`: how long ranks wait for one another, once they have
    met (distributed/hosts.py).
    `torch.Tensor._version`: how often a tensor was changed in place (contracts/arguments.py).
transformers
    `masking_utils.sdpa_mask` and `integrations.sdpa_attention.sdpa_attention_forward`: attention that never
    waits for the device (models/attention.py).
    `config._attn_implementation`: the attention that a model runs with (models/attention.py,
    planning/model_size.py).
    `model._from_config`: a model with random weights, of a class that no mapping has (models/heads.py).
    `model._auto_class` and `dynamic_module_utils.custom_object_save`: Python code that came with an encoder
    is saved with it (models/load.py).
    `tokenizer._tokenizer`: the place of a fast tokenizer's backend (models/trimming/trim.py).
    `tokenizer._tokenize`: a slow tokenizer's rules, with the language that XLM's needs (features/tokens.py).
DeepSpeed
    `deepspeed.ops.__compatible_ops__`: emptied, so that no C++ compiler is wanted (engine/importing.py).
    `engine._consolidated_16bit_state_dict`: all weights at ZeRO stage 3 (engine/engine.py).
    `engine._copy_recovery_script`: replaced, so that no program is put into checkpoints (engine/engine.py).
    `engine.torch_autocast_z0_gradscaler`: the scaler of half precision (engine/engine.py).
    `deepspeed.runtime.engine.TorchCheckpointEngine`: its `save` and `load` are replaced (engine/engine.py).
    `p._hp_mapping`, `optimizer.single_partition_of_fp32_groups` (stages 1 and 2), `grad_position`,
    `get_param_id` and `fp32_partitioned_groups_flat` (stage 3): where ZeRO keeps a parameter's moments
    (engine/elastic.py).
CPython
    `numpy.memmap._mmap`: the map whose pages are handed back to the system (features/tokens.py).
"""

import importlib
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

SEEN = {"torch": "2.13", "transformers": "5.23", "deepspeed": "0.19.8", "numpy": "2"}


def gone(library: str, what: str) -> str:
    """The sentence that a failing test says."""
    version = importlib.import_module(library).__version__
    return (
        f"{library} {version} has no {what}, which lbkd relies on (seen in {library} {SEEN[library]}): "
        "see the docstring of this file for the module to mend."
    )


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch._C._distributed_c10d", "HashStore"),
        ("torch.distributed.distributed_c10d", "_set_pg_timeout"),
        ("transformers.masking_utils", "sdpa_mask"),
        ("transformers.integrations.sdpa_attention", "sdpa_attention_forward"),
        ("transformers.dynamic_module_utils", "custom_object_save"),
        ("deepspeed.ops", "__compatible_ops__"),
        ("deepspeed.runtime.engine", "TorchCheckpointEngine"),
    ],
)
def test_names_in_modules(module: str, name: str) -> None:
    library = module.partition(".")[0]
    try:
        found = importlib.import_module(module)
    except ImportError:
        pytest.fail(gone(library, module))
    assert hasattr(found, name), gone(library, f"{module}.{name}")


def test_a_tensors_count_of_changes() -> None:
    tensor = torch.zeros(2)
    before = getattr(tensor, "_version", None)
    tensor[0].mul_(2)  # a view's changes count, too
    assert getattr(tensor, "_version", None) != before, gone("torch", "Tensor._version")


@pytest.mark.parametrize("name", ["_consolidated_16bit_state_dict", "_copy_recovery_script"])
def test_methods_of_deepspeeds_engine(name: str) -> None:
    from deepspeed.runtime.engine import DeepSpeedEngine

    assert callable(getattr(DeepSpeedEngine, name, None)), gone("deepspeed", f"DeepSpeedEngine.{name}")


def test_the_scaler_of_deepspeeds_engine() -> None:
    from deepspeed.runtime.engine import DeepSpeedEngine

    name = "torch_autocast_z0_gradscaler"
    assert f"self.{name} = " in inspect.getsource(DeepSpeedEngine), gone(
        "deepspeed", f"DeepSpeedEngine.{name}"
    )


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("stage_1_and_2", ["_hp_mapping", "single_partition_of_fp32_groups", "refresh_fp32_params"]),
        ("stage3", ["grad_position", "get_param_id", "fp32_partitioned_groups_flat", "refresh_fp32_params"]),
    ],
)
def test_where_zero_keeps_moments(module: str, names: list[str]) -> None:
    source = inspect.getsource(importlib.import_module(f"deepspeed.runtime.zero.{module}"))
    for name in names:
        assert name in source, gone("deepspeed", f"runtime.zero.{module}: {name}")


def test_attributes_of_transformers() -> None:
    from transformers import BertConfig, BertTokenizer, PreTrainedModel, PreTrainedTokenizer

    for name in ("_from_config", "_auto_class"):
        assert hasattr(PreTrainedModel, name), gone("transformers", f"PreTrainedModel.{name}")
    config = BertConfig()
    fast: Any = BertTokenizer(vocab={"[UNK]": 0, "a": 1})
    for owner, name in ((config, "_attn_implementation"), (fast, "_tokenizer")):
        assert hasattr(owner, name), gone("transformers", f"{type(owner).__name__}.{name}")
    assert fast.backend_tokenizer is fast._tokenizer, gone("transformers", "backend behind _tokenizer")
    assert callable(getattr(PreTrainedTokenizer, "_tokenize", None)), gone(
        "transformers", "PreTrainedTokenizer._tokenize"
    )


def test_the_map_of_a_numpy_memmap(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "x", np.uint8, "w+", shape=8)
    assert hasattr(getattr(mapped, "_mmap", None), "madvise"), gone("numpy", "memmap._mmap.madvise")
