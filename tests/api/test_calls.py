"""Calls from Python: the words, what is given back, where messages go, and what stays behind."""

import logging
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from lbkd_cli.options import _SHARED

import lbkd
from lbkd.api.listeners import Bars, Logged
from lbkd.api.words import KEYS, TrainingWords, settings_of
from lbkd.errors import ConfigError
from lbkd.settings import load_settings

QUIET = """
import os, random, signal, sys, threading, warnings
import lbkd

assert not {"torch", "transformers", "numpy"} & set(sys.modules)
model, workspace = sys.argv[1:]
import torch
import torch.distributed as dist


def state():
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
    return (
        [os.environ.get(name) for name in names],
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        random.getstate(),
        torch.get_rng_state().tolist(),
        threading.active_count(),
        list(warnings.filters),
    )


def train(seed, **more):
    how = {"corpus.limit": 2, "corpus.zero_shot": [], "training.max_steps": 1, **more}
    words = dict(model=model, workspace=workspace, languages="en,es", seed=seed, set=how)
    try:
        return lbkd.train("baseline", **words)
    finally:
        assert state() == before
        assert not dist.is_initialized()


before = state()
first = train(1)
try:
    train(1, **{"training.learning_rate": 0.5})
except ValueError as error:
    assert "holds a finished run with another training.learning_rate" in str(error)
    assert "--name" in str(error)
second = train(2, **{"training.micro_batch_size": 3})
assert (first.name, second.name) == ("baseline", "baseline.seed2")
assert [score.language for score in second.scores] == ["en", "es"]
assert second.scores[0].questions == 6
assert lbkd.evaluate(second, workspace=workspace, languages="en,es", set={"corpus.limit": 2})
assert second.answerer()("Who?", "Ada wrote it.")["answer"]
"""


@pytest.mark.slow
def test_nothing_is_printed_and_nothing_stays_behind(tiny_model_folder: Path, tmp_path: Path) -> None:
    """After calls that end well or with an error, of other seeds and micro-batches."""
    command = [sys.executable, "-c", QUIET, str(tiny_model_folder), str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_words_are_those_of_the_command_line() -> None:
    command = {name: key for name, (key, _, _) in _SHARED.items() if key is not None}
    command["plugins"] = command.pop("plugin")
    assert command == KEYS
    more = {"set", "settings", "progress", "listener"}
    assert TrainingWords.__annotations__.keys() == {*KEYS, *more}


def test_settings_of_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lbkd.toml").write_text("[training]\nepochs = 3\nbatch_size = 5\n", encoding="utf-8")
    found = settings_of(
        {
            "corpus": "data",
            "languages": ["en", "es"],
            "model": Path("enc"),
            "seed": None,
            "set": {"training.epochs": 4, "evaluation": {"metric": "mlqa"}},
        }
    )
    assert found == load_settings(
        {
            "corpus.dir": "data",
            "corpus.languages": "en,es",
            "model.name": "enc",
            "training.epochs": 4,
            "evaluation.metric": "mlqa",
        }
    )
    assert (found.training.epochs, found.training.batch_size, found.seed) == (4, 5, 1)
    assert settings_of({"settings": found, "progress": True}) is found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"langauges": ["en"]}, "no argument 'langauges'; did you mean 'languages'?"),
        ({"set": {"training.epoch": 3}}, "the arguments: no option 'training.epoch'; did you mean"),
        ({"languages": ["es"]}, "corpus.source is 'en', which is not among corpus.languages"),
        ({"settings": lbkd.load_settings(), "seed": 2}, "settings= holds all settings; leave out seed."),
    ],
)
def test_wrong_words_are_refused(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        lbkd.run(**words)
    assert message in str(raised.value)


def test_wrong_calls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no task: name one"):
        lbkd.train(workspace=tmp_path)
    with pytest.raises(ConfigError, match="'task.branch-mrc.lang' is needed"):
        lbkd.train("branch-mrc", workspace=tmp_path)
    with pytest.raises(ConfigError, match="--on en: belongs to a --benchmark; name one"):
        lbkd.evaluate("baseline", on="en", workspace=tmp_path)
    with pytest.raises(ConfigError, match="'basline' is no run in"):
        lbkd.evaluate("basline", workspace=tmp_path)


def test_scores_are_the_rows_of_json() -> None:
    row = {
        "model": "m",
        "task": "baseline",
        "language": "es",
        "question_language": "en",
        "exact_match": 50.0,
        "f1": 62.5,
        "questions": 8,
        "HasAns_f1": 60.0,
        "shared_questions": 6,
        "zero_shot": True,
    }
    score = lbkd.Score.of(row)
    assert (score.f1, score.extras) == (62.5, {"HasAns_f1": 60.0})
    assert list(score.row().items()) == list(row.items())
    assert {*row, "extras"} - {"HasAns_f1"} == {each.name for each in fields(score)}


def test_messages_go_to_logging(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.INFO, "lbkd"):
        Logged().note("good news")
        Logged().progress("training", 1, 2, {})
    assert caplog.record_tuples == [("lbkd", logging.INFO, "good news")]
    assert capsys.readouterr() == ("", "")


def test_bars(capsys: pytest.CaptureFixture[str]) -> None:
    """One for each work, with its name, steps and loss; a bar that is not full stays where it was."""
    bars = Bars()
    bars.progress("teacher", 1, 2, {"loss": 1.25, "tokens_per_second": 9.0})
    bars.progress("teacher", 2, 2, {"loss": 1.0})
    bars.progress("student", 3, 8, {})
    bars.close()
    out, err = capsys.readouterr()
    assert out == ""
    teacher, student = [line.rpartition("\r")[2] for line in err.strip().split("\n")]
    assert "teacher: 100%" in teacher and "2/2" in teacher and "loss=1" in teacher
    assert "student:  38%" in student and "3/8" in student
