"""`lbkd translate` on two ranks, by --nproc and by torchrun."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from lbkd.config import BUILTIN_CORPUS

PLUGIN = """
import os, re, signal
from lbkd import translation

@translation.registry.register("turned")
class Turned(translation.Translator):
    '''Turns words round and writes down every text; with `kill_after`, rank 1 kills itself in that batch.'''
    batch = 16

    def __init__(self, kill_after: int = -1) -> None:
        self.left = kill_after

    def fingerprint(self, source, target):
        return {}

    def translate(self, texts, source, target):
        rank = os.environ.get("RANK", "0")
        if rank == "1" and not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        with open(f"count.{rank}", "a") as file:
            file.writelines(f"{text!r}\\n" for text in texts)
        return [re.sub(r"[^\\W\\d_]+", lambda word: word[0][::-1] + "o", text) for text in texts]
"""
ONE = [sys.executable, "-m", "lbkd_cli"]
BY_TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "lbkd_cli"]


def translated(folder: Path, launcher: list[str], *more: str) -> subprocess.CompletedProcess[str]:
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus / "test.en.json").write_bytes((BUILTIN_CORPUS / "test.en.json").read_bytes())
    (folder / "turned.py").write_text(PLUGIN)
    command = [*launcher, "translate", "--corpus", "corpus", "--to", "es", "--plugin", "turned.py"]
    return subprocess.run(
        [*command, "--backend", "turned", "--markers", "tags", *more],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def written(folder: Path) -> dict[str, bytes]:
    places = [*(folder / "corpus").iterdir(), *(folder / "lbkd-work" / "translations").iterdir()]
    return {path.name: path.read_bytes() for path in places}


def texts(folder: Path) -> Counter[str]:
    return Counter(line for path in folder.glob("count.*") for line in path.read_text().splitlines())


@pytest.mark.slow
def test_the_same_bytes_whatever_the_number_of_ranks(tmp_path: Path) -> None:
    one, two, launched, broken = (tmp_path / name for name in ("one", "two", "launched", "broken"))
    done = translated(one, ONE)
    assert done.returncode == 0, done.stderr
    for folder, launcher, more in ((two, ONE, ("--nproc", "2")), (launched, BY_TORCHRUN, ())):
        ranked = translated(folder, launcher, *more)
        assert ranked.returncode == 0, ranked.stderr
        assert ranked.stdout == done.stdout  # told once
        assert written(folder) == written(one)
        assert texts(folder) == texts(one)
        assert set(texts(one).values()) == {1}
        assert len(list(folder.glob("count.*"))) == 2
    killed = translated(broken, ONE, "--nproc", "2", "--set", "translation.turned.kill_after=2")
    assert killed.returncode == 137
    assert "a rank was killed" in killed.stderr
    assert "Traceback" not in killed.stderr
    assert list((broken / "corpus").iterdir()) == [broken / "corpus" / "test.en.json"]
    [memory] = (broken / "lbkd-work" / "translations").iterdir()
    assert memory.read_text().count("\n") == 1 + 4  # settings, and two batches of each rank
    again = translated(broken, ONE, "--nproc", "2")
    assert again.returncode == 0, again.stderr
    assert written(broken) == written(one)
    assert sum(texts(broken).values()) - len(texts(broken)) <= 16  # the batch that was lost with the rank
