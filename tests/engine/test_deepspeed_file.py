"""What a user's own DeepSpeed file may say: taken, agreeing with ours, without effect, refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from ranks import settings, trained

from lbkd.config import RuntimeSettings, TrainingSettings
from lbkd.engine.deepspeed_config import deepspeed_config, zero_stage
from lbkd.engine.deepspeed_file import AGREEING, REFUSED, TAKEN, UNUSED, DeepSpeedFile
from lbkd.engine.division import Division
from lbkd.errors import ConfigError
from lbkd.project import Project
from lbkd.training.check import check_deepspeed

AUTO = "auto"
ADAMW = {"type": "AdamW", "params": {"lr": AUTO, "betas": AUTO, "eps": AUTO, "weight_decay": AUTO}}
WARM_UP = {
    "type": "WarmupLR",
    "params": {"warmup_min_lr": AUTO, "warmup_max_lr": AUTO, "warmup_num_steps": AUTO},
}
SIZES = {
    "gradient_accumulation_steps": AUTO,
    "train_batch_size": AUTO,
    "train_micro_batch_size_per_gpu": AUTO,
}
HALF = {"fp16": {"enabled": AUTO, "loss_scale": 0, "hysteresis": 2}, "bf16": {"enabled": AUTO}}
TRAINERS = {**SIZES, **HALF, "optimizer": ADAMW, "scheduler": WARM_UP, "gradient_clipping": AUTO}
"""What files for the Hugging Face Trainer have beside ZeRO."""
ZERO_2 = {
    **TRAINERS,
    "zero_optimization": {
        "stage": 2,
        "offload_optimizer": {"device": "cpu", "pin_memory": False},
        "allgather_partitions": True,
        "allgather_bucket_size": 2e8,
        "overlap_comm": True,
        "reduce_bucket_size": AUTO,
    },
    "steps_per_print": 2000,
    "wall_clock_breakdown": False,
}
ZERO_3 = {
    **TRAINERS,
    "zero_optimization": {
        "stage": 3,
        "offload_param": {"device": "cpu", "pin_memory": False},
        "stage3_max_live_parameters": 1e9,
        "stage3_prefetch_bucket_size": AUTO,
        "stage3_gather_16bit_weights_on_model_save": True,
    },
}
FIRST_STEPS = {
    "train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "optimizer": {"type": "Adam", "params": {"lr": 0.00015}},
    "zero_optimization": True,
}
"""DeepSpeed's introductory example, without its fp16."""


def config(own: Any, folder: Path, training: dict[str, Any] | None = None, **runtime: Any) -> dict[str, Any]:
    """The configuration of two ranks with a batch of 12."""
    path = folder / "ds.json"
    path.write_text(own if isinstance(own, str) else json.dumps(own))
    return deepspeed_config(
        TrainingSettings(**{"batch_size": 12, **(training or {})}),
        RuntimeSettings(deepspeed=path, **runtime),
        Division(0, 2, 1),
    )


def test_what_is_taken_is_merged_over_ours(tmp_path: Path) -> None:
    own = {**ZERO_2, "communication_data_type": "fp32"}
    assert config(own, tmp_path) == {
        **config({}, tmp_path),
        "zero_optimization": {key: v for key, v in ZERO_2["zero_optimization"].items() if v != AUTO},
        "communication_data_type": "fp32",
    }


def test_the_files_stage_counts_where_the_settings_name_none(tmp_path: Path) -> None:
    assert config({"zero_optimization": {"stage": 3}}, tmp_path)["zero_optimization"] == {"stage": 3}
    assert zero_stage(RuntimeSettings(deepspeed=tmp_path / "ds.json"), 1) == 3
    assert config({"zero_optimization": True}, tmp_path)["zero_optimization"] == {"stage": 1}
    assert config({"zero_optimization": {"stage": 1}}, tmp_path, zero_stage=1)["zero_optimization"] == {
        "stage": 1
    }


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ("{", "ds.json: not a readable JSON file"),
        ("[" * 100_000, "ds.json: not a readable JSON file"),
        ([1, 2], "ds.json: expected a JSON object, found list"),
        (
            {"zero_optimizaton": {"stage": 2}},
            "'zero_optimizaton' is no key .* did you mean 'zero_optimization'",
        ),
        ({"zero_optimization": 3}, "zero_optimization must be dict or bool, found 3"),
        ({"zero_optimization": {"stage": "2"}}, 'stage is "2"; take 0 to 3'),
        ({"zero_optimization": {"stage": 7}}, "stage is 7; take 0 to 3"),
        ({"zero_optimization": {"compute_grad_norm": False}}, "take 'compute_grad_norm' out"),
        ({"zero_optimization": {"stage": 0, "offload_optimizer": {"device": "cpu"}}}, "set --zero-stage 1"),
        ({"zero_optimization": {"offload_param": {"device": "cpu"}}}, "has stage 2: set --zero-stage 3"),
        (
            {"zero_optimization": {"stage": 3, "offload_param": {"device": "nvme"}}},
            "take cpu instead of nvme",
        ),
        ({"prescale_gradients": "yes"}, 'prescale_gradients must be bool, found "yes"'),
        ({"optimizer": {"type": "Lamb"}}, "optimizer.type is 'Lamb': lbkd trains with AdamW"),
        ({"optimizer": {"params": {"adam_w_mode": False}}}, "take optimizer.params.adam_w_mode out"),
        ({"optimizer": "Adam"}, "optimizer must be an object"),
        ({"optimizer": {"params": [1]}}, "optimizer.params must be an object"),
        ({"train_batch_size": {"a": 1}}, "train_batch_size must be a number"),
        ({"zero_optimization": {"offload_param": "cpu"}}, "offload_param must be an object such as"),
        ({"torch_autocast": {"enabled": True, "dtype": "float16"}}, "runtime.precision decides"),
        ({"autotuning": {"enabled": True}}, "the tuner ends without a model"),
        ({"checkpoint": {"load_universal": True}}, "lbkd writes checkpoints of its own"),
        ({"sparse_gradients": True}, "take 'sparse_gradients' out"),
        ({"progressive_layer_drop": {"enabled": True, "theta": 0.5}}, "something else than the settings say"),
        ({"curriculum_learning": {"enabled": True}}, "something else than the settings say"),
        ({"data_types": {"grad_accum_dtype": "bf16"}}, "runtime.precision decides"),
        ({"tensor_parallel": {"autotp_size": 2}}, "take 'tensor_parallel' out"),
        ({"wandb": {"enabled": True}}, "take 'wandb' out: use --track"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(own: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=reason):
        config(own, tmp_path)


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({"train_batch_size": 64}, r"train_batch_size is 64, but here 12 \(set training.batch_size\)"),
        ({"gradient_clipping": -1}, r"gradient_clipping is -1, but here 5.0 \(set training.max_grad_norm\)"),
        ({"gradient_accumulation_steps": 4}, r"is 4, but here 1 \(set training.micro_batch_size\)"),
        ({"bf16": {"enabled": True}}, r"bf16.enabled is true, but here false \(set runtime.precision\)"),
        (
            {"optimizer": {"params": {"betas": [0.8, 0.9]}}},
            r"but here \[0.9, 0.999\] \(set training.adam_betas\)",
        ),
    ],
)
def test_a_file_that_contradicts_the_settings_is_refused(own: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=reason):
        config(own, tmp_path)


def test_all_contradictions_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        config({**FIRST_STEPS, "zero_optimization": {"stage": 3}}, tmp_path, zero_stage=1)
    for name in ("train_batch_size", "training.learning_rate", "set --zero-stage"):
        assert name in str(told.value)
    assert str(told.value).count("but here") == 3


def test_what_is_switched_off_is_no_fault(tmp_path: Path) -> None:
    nowhere = {"zero_optimization": {"stage": 2, "offload_param": {"device": "none"}}}
    assert config(nowhere, tmp_path)["zero_optimization"]["stage"] == 2
    off = {"elasticity": {"enabled": False}, "sparse_gradients": False, "fp16": {"enabled": False}}
    assert config(off, tmp_path) == config({}, tmp_path)


def test_what_has_no_effect_is_told(tmp_path: Path) -> None:
    config({**ZERO_2, "activation_checkpointing": {"partition_activations": True}}, tmp_path)
    found = DeepSpeedFile.read(tmp_path / "ds.json").unused
    assert found == {
        "activation_checkpointing": UNUSED["activation_checkpointing"],
        "steps_per_print": UNUSED["steps_per_print"],
        "scheduler": UNUSED["scheduler"],
    }


def test_every_key_has_one_meaning() -> None:
    decided = {name.partition(".")[0] for name in AGREEING} - {"zero_optimization"}
    tables = [set(TAKEN), set(UNUSED), set(REFUSED), decided]
    assert len(set.union(*tables)) == sum(map(len, tables))


def test_the_page_has_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "deepspeed.md").read_text()
    keys = [*TAKEN, *AGREEING, *UNUSED, *REFUSED]
    assert [key for key in keys if f"`{key}`" not in page] == []


@pytest.mark.parametrize("own", [{"stages": 2}, {"reduce_bucket_size": "large"}, {"mics_shard_size": 2}])
def test_what_deepspeed_refuses_is_told_before_the_first_step(
    own: Any, tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "ds.json").write_text(json.dumps({"zero_optimization": own}))
    how = settings(tiny_model_folder, workspace, **{"runtime.deepspeed": tmp_path / "ds.json"})
    with pytest.raises(ConfigError, match="DeepSpeed refuses its configuration"):
        check_deepspeed(Project(how))


@pytest.mark.parametrize("own", [ZERO_2, ZERO_3, FIRST_STEPS], ids=["zero-2", "zero-3", "first steps"])
def test_public_files_train(own: Any, tiny_model_folder: Path, workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "ds.json").write_text(json.dumps(own))
    how = {"training.max_steps": 2, "training.batch_size": 8, "training.learning_rate": 0.00015}
    with_file = {**how, "runtime.deepspeed": tmp_path / "ds.json"}
    theirs = trained(settings(tiny_model_folder, workspace, **with_file), tmp_path / "theirs")
    ours = trained(settings(tiny_model_folder, workspace, **how), tmp_path / "ours")
    assert theirs.losses == pytest.approx(ours.losses, abs=2e-6)
