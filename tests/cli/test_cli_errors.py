"""Whatever is typed wrong: exit code 2, and a message with the value, the choices and what to do."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lbkd.distributed import launch
from lbkd.errors import ConfigError

WRONG = {
    "command": (["trian"], ["'trian'", "Did you mean 'train', 'trim'?"]),
    "inner command": (["data", "chekc"], ["'chekc'", "Did you mean 'check'?"]),
    "option": (["train", "--tsk", "x"], ["--tsk", "--task"]),
    "missing option": (["train"], ["--task"]),
    "missing argument": (["score", "a.json"], ["predictions"]),
    "number": (["train", "--task", "baseline", "--seed", "x"], ["--seed", "integer"]),
    "range": (["train", "--task", "baseline", "--nproc", "0"], ["--nproc", "1"]),
    "task": (
        ["train", "--task", "brnch-mrc"],
        ["'brnch-mrc'", "did you mean 'branch-mrc'?", "baseline", "translate-train", "lbkd list"],
    ),
    "criterion": (
        ["train", "--task", "baseline", "--criterion", "nl"],
        ["'nl'", "did you mean 'nll'?", "kd"],
    ),
    "criterion without teachers": (
        ["train", "--task", "baseline", "--criterion", "kd"],
        ["'kd' needs teachers", "'baseline'", "'distill'"],
    ),
    "weighting": (
        ["distill", "--weighting", "impurty"],
        ["'impurty'", "did you mean 'impurity'?", "fixed", "lbkd list"],
    ),
    "weighting that the task does not need": (
        ["train", "--task", "baseline", "--weighting", "impurty"],
        ["did you mean 'impurity'?"],
    ),
    "weighting of a run": (["run", "--weighting", "impurty"], ["did you mean 'impurity'?"]),
    "criterion of a run": (["run", "--criterion", "combine"], ["did you mean 'combined'?"]),
    "option of a weighting": (
        ["run", "--set", "weighting.impurity.temprature=2"],
        ["no option 'weighting.impurity.temprature'", "did you mean 'weighting.impurity.temperature'?"],
    ),
    "value of a weighting": (
        ["run", "--set", "weighting.impurity.temperature=hot"],
        ["weighting.impurity.temperature = 'hot'", "number"],
    ),
    "lang missing": (["train", "--task", "branch-mrc"], ["'branch-mrc'", "--lang", "en, es"]),
    "lang unknown": (["train", "--task", "branch-mrc", "--lang", "fr"], ["'fr'", "--lang", "en, es"]),
    "lang for a task without": (["train", "--task", "baseline", "--lang", "es"], ["'baseline'", "--lang es"]),
    "teacher": (["distill", "--teachers", "en,fr"], ["task.distill.teachers", "'fr'", "en, es"]),
    "teacher task": (["distill", "--teacher-task", "mixmrc"], ["'mixmrc'", "did you mean 'mix-mrc'?"]),
    "teachers without a language": (
        ["distill", "--teachers", "en", "--teacher-task", "mix-mrc"],
        ["task.distill: teachers = ['en']", "'mix-mrc' has no language", "leave it out"],
    ),
    "phrases for a task without": (
        ["train", "--task", "mix-mrc", "--phrases", "lists"],
        ["'mix-mrc' takes no --phrases lists; leave it out"],
    ),
    "phrases missing": (
        ["train", "--task", "lakm", "--phrases", "lists"],
        ["lists/en.txt", "No such file", "UTF-8", "`lbkd data phrases --out lists`"],
    ),
    "task that masks, criterion that does not": (
        ["train", "--task", "lakm", "--criterion", "nll"],
        ["'lakm' masks phrases", "'nll'", "use criterion 'mlm'"],
    ),
    "criterion that needs masks": (
        ["distill", "--criterion", "mlm"],
        ["'mlm' learns from masked tokens", "'distill' masks none", "'lakm'", "'mix-mrc-lakm'"],
    ),
    "criterion of a run that needs masks": (["run", "--criterion", "mlm"], ["'distill' masks none"]),
    "rate": (
        ["train", "--task", "lakm", "--set", "task.lakm.rate=0"],
        ["task.lakm: rate = 0.0", "above 0", "at most 1"],
    ),
    "option without its component": (
        ["run", "--set", "weighting.temperature=2"],
        [
            "weighting.temperature",
            "`[weighting.impurity] temperature",
            "--set weighting.impurity.temperature=",
        ],
    ),
    "option of no component": (
        ["train", "--task", "baseline", "--set", "weighting.impurty.temperature=2"],
        ["no weighting 'impurty'", "did you mean 'impurity'?"],
    ),
    "no task": (["train"], ["--task", "task.name", "lbkd list tasks"]),
    "weights of a teacher that is left out": (
        [
            "distill",
            "--teachers",
            "en",
            "--weighting",
            "fixed",
            "--set",
            "weighting.fixed.weights={en=1, es=1}",
        ],
        ["weighting.fixed.weights", "no teacher 'es'"],
    ),
    "weights of a run": (
        ["run", "--weighting", "fixed", "--set", "weighting.fixed.weights={dee=1}"],
        ["weighting.fixed.weights", "no teacher 'dee'"],
    ),
    "teacher's lang": (["cache-logits", "--lang", "fr"], ["'fr'", "en, es"]),
    "setting": (
        ["data", "stats", "--set", "training.epoch=3"],
        ["the command line", "'training.epoch'", "did you mean 'training.epochs'?", "training.max_grad_norm"],
    ),
    "section": (["data", "stats", "--set", "trainin.epochs=3"], ["'trainin'", "did you mean 'training'?"]),
    "value": (["data", "stats", "--set", "training.epochs=many"], ["training.epochs", "'many'", "number"]),
    "no value": (
        ["data", "stats", "--set", "training.epochs"],
        ["'training.epochs'", "KEY=VALUE", "example"],
    ),
    "corpus folder": (
        ["data", "stats", "--corpus", "nowhere"],
        ["2 of 2 files do not exist", "nowhere/train.en.json", "nowhere/train.es.json", "Put them there"],
    ),
    "language": (["data", "stats", "--languages", "en,xx"], ["train.xx.json", "leave these languages out"]),
    "source": (["data", "stats", "--source", "xx"], ["'xx'", "en, es", "--languages", "--source"]),
    "file names": (
        ["data", "stats", "--set", "corpus.files={x}.json"],
        ["'{x}.json'", "{split}", "{language}"],
    ),
    "model": (["data", "stats", "--model", "./nowhere"], ["'./nowhere'", "config.json", "e5-small"]),
    "run": (["evaluate", "nowhere"], ["'nowhere' is no run in lbkd-work/runs", "config.json"]),
    "benchmark": (["evaluate", ".", "--benchmark", "xqad"], ["'xqad'", "did you mean 'xquad'?", "mlqa"]),
    "benchmark's files": (
        ["evaluate", ".", "--benchmark", "mlqa", "--data", "nowhere"],
        ["nowhere/mlqa", "lbkd data download mlqa"],
    ),
    "benchmark's language": (["evaluate", ".", "--benchmark", "mlqa", "--on", "en,fr"], ["'fr'", "de, en"]),
    "languages without a benchmark": (["evaluate", ".", "--on", "en"], ["--on", "--benchmark"]),
    "deepspeed file": (
        ["train", "--task", "baseline", "--deepspeed", "nowhere.json"],
        ["nowhere.json", "No such file"],
    ),
}


def with_settings(command: list[str], more: list[Any]) -> list[Any]:
    """The command with what keeps it small, its own options winning."""
    small = command[0] in ("train", "distill", "cache-logits", "run", "evaluate") or command[:2] == [
        "data",
        "stats",
    ]
    chosen = [*more[2:]] if "--model" in command else more
    if "--languages" in command:
        chosen = [word for word in chosen if word not in ("--languages", "en,es")]
    return [*command, *(chosen if small else [])]


@pytest.mark.parametrize("what", WRONG)
def test_refusals(
    refused: Callable[..., str], what: str, tiny_model_folder: Path, two_languages: list[str]
) -> None:
    command, parts = WRONG[what]
    message = refused(*with_settings(command, ["--model", tiny_model_folder, *two_languages]))
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("x = [", ["lbkd.toml", "not a readable TOML file"]),
        ("\ud800", ["lbkd.toml", "not a readable TOML file"]),
        ("[training]\nepoch = 3", ["lbkd.toml", "'training.epoch'", "did you mean 'training.epochs'?"]),
        ("seed = -1", ["lbkd.toml", "seed", "'-1'"]),
        ("corpus = 3", ["lbkd.toml", "corpus", "'3'"]),
        ('workspace = "a\\u0000b"', ["workspace", "cannot be written", "--workspace"]),
    ],
)
def test_bad_settings_file(refused: Callable[..., str], text: str, parts: list[str]) -> None:
    Path("lbkd.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    message = refused("data", "stats", "--corpus", "nowhere")
    assert all(part in message for part in parts), message


def test_settings_file_that_is_a_folder(refused: Callable[..., str]) -> None:
    Path("lbkd.toml").mkdir()
    assert "not a readable TOML file" in refused("data", "stats")


def test_workspace_that_is_a_file(refused: Callable[..., str], wrote: Callable[..., Path]) -> None:
    file = wrote("file", "")
    message = refused("data", "stats", "--workspace", file)
    assert f"workspace '{file}' cannot be written" in message
    assert "Name another --workspace" in message


def test_debug_shows_where(lbkd: Callable[..., Any]) -> None:
    done = lbkd("--debug", "list", "tusks")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Traceback")
    assert "ConfigError" in done.err
    assert done.err.splitlines()[-1].startswith("error: no kind")


def test_debug_may_stand_anywhere(lbkd: Callable[..., Any]) -> None:
    assert lbkd("list", "tusks", "--debug").err.startswith("Traceback")
    assert lbkd("list", "--debug").code == 0


def test_our_own_mistakes_are_not_hidden(lbkd: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbkd_cli.components._registries", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lbkd("list")


@pytest.mark.parametrize("allocate", [torch.empty, np.empty])
def test_lack_of_memory(
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tiny_model_folder: Path,
    two_languages: list[str],
    allocate: Callable[[int], Any],
) -> None:
    """In training, with the settings that need less; in a command without settings of that kind."""
    monkeypatch.setattr("lbkd.api.work.train_run", lambda *_: allocate(2**58))
    how = ["--model", tiny_model_folder, *two_languages, "--set", "training.micro_batch_size=7"]
    message = refused("train", "--task", "baseline", *how)
    assert "memory ran out" in message
    for part in ("training.micro_batch_size (now 7)", "--zero-stage (now 0)", "batch_tokens (now 8192)"):
        assert part in message
    monkeypatch.setattr("lbkd.inference.answerer.answer", lambda *_: allocate(2**58))
    question = ["--question", "Who?", "--passage", "Ana."]
    assert refused("predict", "--model", tiny_model_folder, *question).startswith("error: memory ran out")


def test_a_full_disk(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, two_languages: list[str]
) -> None:
    """With the place and what to do, whatever library wrote; in a command without workspace, too."""
    full = partial(torch.save, torch.zeros(100_000), "/dev/full")
    monkeypatch.setattr("lbkd.api.work.train_run", lambda *_: full())
    message = refused("train", "--task", "baseline", *two_languages)
    for part in ("lbkd-work: no space is left on the disk (", "--workspace", "lbkd plan"):
        assert part in message
    monkeypatch.setattr("lbkd_cli.components._registries", full)
    assert refused("list").startswith("error: no space is left on the disk; free some")


def test_a_message_is_shown_as_it_is(refused: Callable[..., str]) -> None:
    assert "'[bold]x[/] :smile:'" in refused("list", "[bold]x[/] :smile:")


@pytest.mark.parametrize(("rank", "before"), [("0", "error: "), ("1", "error: rank 1: ")])
def test_ranks(lbkd: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, rank: str, before: str) -> None:
    place = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    assert lbkd("list", "tusks").err.startswith(before + "no kind")


@pytest.mark.parametrize(("elsewhere", "err"), [(False, "error: lost\n"), (True, "")])
def test_an_error_that_another_rank_tells(
    lbkd: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, elsewhere: bool, err: str
) -> None:
    def project(*arguments: Any) -> None:
        raise ConfigError("lost")

    monkeypatch.setattr("lbkd.project.Project", project)
    monkeypatch.setattr("lbkd.distributed.hosts.told_by_another", lambda message: elsewhere)
    done = lbkd("evaluate", "any")
    assert (done.code, done.out, done.err) == (
        2,
        "",
        f"lbkd evaluate: loading PyTorch and transformers\n{err}",
    )


def test_as_a_program(tmp_path: Path) -> None:
    for start in ([sys.executable, "-m", "lbkd_cli"], [str(Path(sys.executable).with_name("lbkd"))]):
        done = subprocess.run([*start, "list", "tusks"], capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: no kind of component 'tusks'; did you mean 'tasks'?")


def test_a_killed_rank_is_told(lbkd: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """By the process that started the rank."""
    commands = []
    monkeypatch.setattr(launch, "launch", lambda *given: commands.append(given) or 137)
    done = lbkd("evaluate", "any", "--nproc", "2")
    assert (done.code, done.out) == (137, "")
    assert done.err.splitlines() == [
        "lbkd evaluate: starting 2 ranks",
        "error: a rank was killed, as the system does where memory runs out",
    ]
    assert commands == [([sys.executable, "-m", "lbkd_cli", "evaluate", "any", "--nproc", "2"], 2, None)]
