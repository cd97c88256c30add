"""Damage in a workspace: a flipped bit or a tail cut off in one file; then the command that uses the file.

A file is good where the command ends with the result of the sound workspace (it did not need the file, or
made it again), or refuses with exit code 2 and the path of the damaged file's folder. A file is bad where the
command ends with another result, with another exit code, or with a traceback. The result of `lbkd distill` is
the student's weights and scores; of `lbkd evaluate`, the scores and the files with answers.

The workspace is small: an encoder of two layers, two languages, two passages; teachers, their logits, a
student, its scores, and a student that was stopped after one of two steps. Commands run in this process. The
script fails where any file is bad.
"""

import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.common import Row, report
from benchmarks.common import options as arguments_of
from benchmarks.small_workspace import options, tiny_encoder
from lbkd.training import meter
from lbkd.training.loop import TrainingLoop
from lbkd.workspace import MANIFEST, file_hash

STUDENT = "runs/distill.combined.impurity"
ROUNDS = 20
"""Of each kind."""


@dataclass(frozen=True)
class Kind:
    """Files of a workspace that one command uses."""

    name: str
    files: str
    """Pattern of their paths in the workspace."""
    state: str = "fresh"
    """fresh: without a student; stopped: with a checkpoint of the student; done."""

    @property
    def command(self) -> str:
        return "evaluate" if self.state == "done" else "distill"


KINDS = (
    Kind("packed corpus", "corpus/*.packed"),
    Kind("token tables", "tokens/*/*.npy"),
    Kind("prepared encoder", "models/*/[!M]*"),
    Kind("teacher's model", "runs/branch-mrc.*/model/[!M]*"),
    Kind("teacher's run.json", "runs/branch-mrc.*/run.json"),
    Kind("teachers' logits", "logits/*/*"),
    Kind("manifests", f"**/{MANIFEST}"),
    Kind("checkpoint", f"{STUDENT}/checkpoints/**/*", "stopped"),
    Kind("scores and answers", f"{STUDENT}/eval/*.json", "done"),
    Kind("student", f"{STUDENT}/**/*.json", "done"),
)


class _Stopped(BaseException):
    """In place of a signal that ends the process."""


class Commands:
    """The command line in this process, on the workspace `work` of a folder."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.options = options(tiny_encoder(folder / "encoder"), self.work)

    def run(self, name: str) -> tuple[int | str, str, str]:
        """Exit code, or a traceback; standard output; standard error."""
        command = [name, *([str(self.work / STUDENT)] if name == "evaluate" else []), *self.options, "--json"]
        out, err, code = io.StringIO(), io.StringIO(), 0
        with (
            mock.patch.object(sys, "argv", ["lbkd", *command]),
            mock.patch.object(meter, "matmul_peak", lambda *_: 1e10),
            mock.patch.dict(os.environ),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                import_module("lbkd_cli.main").main()
            except SystemExit as ended:
                code = int(ended.code or 0)
            except Exception:
                return traceback.format_exc(), out.getvalue(), err.getvalue()
        return code, out.getvalue(), err.getvalue()

    def result(self, name: str) -> tuple[int | str, Any, str]:
        """Exit code or traceback; what the command made; standard error."""
        code, out, err = self.run(name)
        if code != 0:
            return code, None, err
        student = self.work / STUDENT
        files = [student / "model" / "model.safetensors", *student.glob("eval/*")]
        return code, (json.loads(out), {path.name: file_hash(path) for path in files}), err


@contextlib.contextmanager
def stopped_after_a_step() -> Iterator[None]:
    """Let the student's training stop as at a crash, after its first checkpoint."""
    kept = TrainingLoop._save_checkpoint

    def save(loop: TrainingLoop) -> None:
        kept(loop)
        if loop.report.run_name == Path(STUDENT).name:
            raise _Stopped

    with mock.patch.object(TrainingLoop, "_save_checkpoint", save), contextlib.suppress(_Stopped):
        yield


def prepared(folder: Path, commands: Commands) -> dict[str, Path]:
    """Sound workspaces by their state."""
    places = {state: folder / state for state in ("fresh", "stopped", "done")}
    with stopped_after_a_step():
        commands.run("distill")
    shutil.copytree(commands.work, places["stopped"])
    shutil.copytree(commands.work, places["fresh"])
    shutil.rmtree(places["fresh"] / STUDENT)
    commands.run("distill")
    shutil.copytree(commands.work, places["done"])
    return places


def harm(path: Path, chance: random.Random) -> str:
    """Flip one bit, or cut a tail off; what was done."""
    content = bytearray(path.read_bytes())
    if chance.random() < 0.5:
        at, bit = chance.randrange(len(content)), chance.randrange(8)
        content[at] ^= 1 << bit
        what = f"bit {bit} of byte {at} flipped"
    else:
        left = chance.randrange(len(content))
        del content[left:]
        what = f"cut after {left} bytes"
    path.write_bytes(content)
    return f"{path}: {what}"


def verdict(path: Path, found: tuple[int | str, Any, str], expected: Any) -> str:
    """Empty if the damage was handled, else what happened."""
    code, made, err = found
    if code == 0:
        return "" if made == expected else "another result, in silence"
    if code == 2:
        return "" if str(path.parent) in err else f"the message does not name it: {err.strip()}"
    return str(code)


def faults_of(kind: Kind, rounds: int, commands: Commands, states: dict[str, Path]) -> list[str]:
    """What went wrong in so many rounds, each on a sound workspace."""
    chance, faults = random.Random(kind.name), []

    def fresh() -> None:
        shutil.rmtree(commands.work, ignore_errors=True)
        shutil.copytree(states[kind.state], commands.work)

    fresh()
    code, expected, err = commands.result(kind.command)
    assert code == 0, err
    for _ in range(rounds):
        fresh()
        files = [path for path in sorted(commands.work.glob(kind.files)) if path.is_file()]
        path = chance.choice([path for path in files if path.stat().st_size])
        what = harm(path, chance)
        if fault := verdict(path, commands.result(kind.command), expected):
            faults.append(f"{kind.name}: {what}: {fault}")
    return faults


def main(words: Sequence[str] | None = None) -> None:
    """Harm files of every kind in turn."""
    arguments = arguments_of(__doc__, pairs=ROUNDS).parse_args(words)
    rounds = 1 if arguments.quick else arguments.pairs
    rows, faults = [], []
    with tempfile.TemporaryDirectory() as place:
        commands = Commands(Path(place))
        states = prepared(Path(place), commands)
        for kind in KINDS:
            found = faults_of(kind, rounds, commands, states)
            good = rounds - len(found)
            rows.append(Row(kind.name, good, None, f"of {rounds}", [good / rounds], 1.0, form="{:.0%}"))
            faults += found
    report("damage", rows, keep=arguments.out or not arguments.quick)
    if faults:
        raise SystemExit("\n".join(faults))


if __name__ == "__main__":
    main()
