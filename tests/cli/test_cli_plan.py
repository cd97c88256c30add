import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lbkd.config import BUILTIN_CORPUS

NUMBERS = ["--questions", 100_000, "--model", "xlm-roberta-base", "--hardware", "h100x8"]


def test_a_plan_and_the_run(
    lbkd: Callable[..., Any], tiny_model_folder: Path, two_languages: list[str]
) -> None:
    """Windows, steps, tokens and the bytes of what was planned are those of what is then done."""
    how = ["--model", tiny_model_folder, *two_languages, "--set", "training.max_steps=3"]
    planned = lbkd("plan", *how, "--json").json
    steps = {step["name"]: step for step in planned["steps"]}
    assert not Path("lbkd-work/runs").exists()
    lbkd("run", *how)
    assert list(steps) == [
        "baseline",
        "branch-mrc.en",
        "branch-mrc.es",
        "logits of branch-mrc.en",
        "logits of branch-mrc.es",
        "distill",
        "evaluation of 4",
    ]
    for name, step in steps.items():
        if name.startswith("logits of "):
            store = Path("lbkd-work/logits") / name.removeprefix("logits of ")
            halves = [(store / f"{half}.u12").stat().st_size for half in ("start", "end")]
            least = 8 * step["windows"] + 1.5 * step["tokens"]  # and half a byte where tokens are odd
            assert all(least <= half <= least + 0.5 * step["windows"] for half in halves)
            assert step["gigabytes"] == pytest.approx(2e-9 * least)
        elif step["steps"]:
            [run] = Path("lbkd-work/runs").glob(f"{name}*/")
            lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
            assert lines[-1]["step"] == step["steps"] == 3
            weights = (run / "model" / "model.safetensors").stat().st_size
            assert step["gigabytes"] * 1e9 == pytest.approx(weights, rel=0.1)  # its header is not counted
    tables = sum(path.stat().st_size for path in Path("lbkd-work/tokens").glob("*"))
    assert 0 < planned["disk"]["tokens"] * 1e9 <= tables


def test_what_run_refuses_is_refused(
    refused: Callable[..., str], tiny_model_folder: Path, two_languages: list[str]
) -> None:
    """In the words of `lbkd run`; where no text is at hand, components that do not fit."""
    how = ["--model", tiny_model_folder, *two_languages, "--hardware", "h100"]
    for options, part in (
        (["--set", "corpus.test=train", "--set", "corpus.zero_shot="], "are trained on"),
        (["--select-on", "test"], "training.select_on = 'test'"),
        (["--set", "corpus.test=none"], "none.en.json"),
    ):
        message = refused("plan", *how, *options)
        assert part in message
        assert message.removeprefix("lbkd plan") == refused("run", *how[:-2], *options).removeprefix(
            "lbkd run"
        )
    message = refused("plan", *NUMBERS, "--task", "baseline", "--criterion", "kd")
    assert "criterion 'kd' needs teachers" in message


def test_a_hundred_languages_from_numbers(lbkd: Callable[..., Any]) -> None:
    found = lbkd("plan", *NUMBERS, "--languages-count", 100, "--json").json
    steps = {step["name"]: step for step in found["steps"]}
    assert len(steps) == 2 + 100 + 100
    assert steps["distill"]["pairs"] == steps["logits of branch-mrc.en-100"]["pairs"] == 10**9
    assert found["recommended"]["settings"]["training.question_languages_per_example"] == "7"
    assert found["recommended"]["hours"] < found["hours"] / 2
    shown = lbkd("plan", *NUMBERS, "--languages-count", 100).out
    assert [line.split("  ")[0] for line in shown.splitlines()[1:5]] == [
        "baseline",
        "branch-mrc (100)",
        "logits of branch-mrc (100)",
        "distill",
    ]
    assert "ZeRO 3" in shown
    assert "assumed: 40% of 7,912 TFLOP/s, the peak of h100x8" in shown


def test_the_recommended_command(lbkd: Callable[..., Any]) -> None:
    shown = lbkd("plan", *NUMBERS, "--task", "mix-mrc", "--set=training.epochs=3").out
    [command] = [line.strip() for line in shown.splitlines() if line.startswith("  lbkd")]
    assert command == (
        "lbkd train --model xlm-roberta-base --task mix-mrc --corpus YOUR_DATA --nproc 8 "
        "--set training.epochs=3 --set runtime.precision=bf16 --zero-stage 0"
    )


def test_numbers_have_no_settings_of_the_corpus_that_ships(lbkd: Callable[..., Any]) -> None:
    [mixed] = lbkd("plan", *NUMBERS, "--task", "mix-mrc", "--json").json["steps"]
    assert mixed["steps"] == 10 * -(-900_000 // 32)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--hardware", "h10x8"], ["--hardware 'h10x8': not known; did you mean 'h100'?", "rtx4090"]),
        (["--passages", "9"], ["--questions is needed"]),
        (["--lang", "es"], ["--lang es goes with --task"]),
        (["--task", "branch-mrc"], ["needs --lang"]),
        (["--task", "branch-mcr"], ["did you mean 'branch-mrc'"]),
        ([*NUMBERS, "--set", "training.batch_size=4"], ["less than the 8 ranks of h100x8"]),
        (
            [*NUMBERS, "--model", "xlm-robert-base"],
            ["did you mean 'xlm-roberta-base'", "LAYERSxHIDDENxVOCABULARY"],
        ),
        (["--corpus", "nowhere"], ["nowhere/train.en.json"]),
        ([*NUMBERS, "--corpus", BUILTIN_CORPUS], ["--questions 100000", "the texts are there"]),
    ],
)
def test_refusals(refused: Callable[..., str], arguments: list[Any], parts: list[str]) -> None:
    message = refused("plan", *arguments)
    assert all(part in message for part in parts), message


def test_numbers_beside_a_corpus_of_the_settings_file(
    lbkd: Callable[..., Any], refused: Callable[..., str]
) -> None:
    """Refused where the corpus has its texts; else the recommended command names the folder."""
    Path("lbkd.toml").write_text(f'[corpus]\ndir = "{BUILTIN_CORPUS}"\n', encoding="utf-8")
    message = refused("plan", *NUMBERS)
    assert f"--questions 100000: the texts are there, in {BUILTIN_CORPUS}; leave it out" in message
    Path("lbkd.toml").write_text('[corpus]\ndir = "to-come"\n', encoding="utf-8")
    assert "--corpus to-come" in lbkd("plan", *NUMBERS, "--json").json["recommended"]["command"]
