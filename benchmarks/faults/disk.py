"""A disk that is full at a random size, a largest size of files, and places that cannot be written.

The workspace is on a file system of its own, in memory, which root can mount. Once there is room again, the
same command must leave what an undisturbed one leaves.
"""

import contextlib
import random
import re
import resource
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.faults.processes import Started, wrong_words
from benchmarks.faults.report import Table
from benchmarks.faults.scenes import Scene, sizes

_AMPLE = "256m"


def can_mount(folder: Path) -> bool:
    """Whether a file system can be mounted here."""
    try:
        with mounted(folder / "mounted", "1m"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextlib.contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    """A file system of this size, in memory, for the time of the block."""
    place.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


def full_disk(scene: Scene, times: int, chance: random.Random, table: Table) -> None:
    """Give the command too little room."""
    parent = scene.place
    need = sum(scene.sizes)
    for _ in range(times):
        scene.reset()
        held = sum(sizes(scene.place))
        room = held + int(chance.uniform(0.02, 1.1) * (need - held))
        with _on_a_disk(scene, room) as inside:
            started = inside.begin()
            codes = started.wait()
            wrong = told_lack(started, codes, "no space", str(parent))
            _mount("-o", f"remount,size={_AMPLE}", str(parent))
            table.add("disk full", scene.name, wrong or inside.completed())


def small_files(scene: Scene, times: int, chance: random.Random, table: Table) -> None:
    """Let no file grow beyond a random size."""
    for _ in range(times):
        scene.reset()
        most = int(chance.uniform(0.02, 0.95) * max(scene.sizes))
        started = scene.begin(partial(_limited, scene, most))
        codes = started.wait()
        wrong = told_lack(started, codes, "too large", str(scene.place))
        table.add("largest size of files", scene.name, wrong or scene.completed())


def read_only(scene: Scene, table: Table) -> None:
    """Make the place one that cannot be written."""
    scene.reset()
    with _on_a_disk(scene, 2**28) as inside:
        _mount("-o", "remount,ro", str(scene.place))
        started = inside.begin()
        codes = started.wait()
        wrong = told_lack(started, codes, "read-only|cannot be written", str(scene.place))
        _mount("-o", "remount,rw", str(scene.place))
        table.add("read-only place", scene.name, wrong or inside.completed())


def told_lack(started: Started, codes: list[int], words: str, place: str) -> str:
    """What is wrong with the end of a command that lacked something; empty if nothing is."""
    told = started.told()
    if not any(codes):  # it had enough, or did without, as without a checkpoint
        return wrong_words(told)
    if wrong := wrong_words(told):
        return wrong
    last = told[told.rfind("error:") :]
    named = place in last and re.search(words, last, re.IGNORECASE)
    if any(code != 2 for code in codes) or not named:
        return f"ended with {codes}: {told.strip()[-500:]}"
    return ""


@contextlib.contextmanager
def _on_a_disk(scene: Scene, room: int) -> Iterator[Scene]:
    """The scene, with its folder on a disk of so many bytes."""
    kept = scene.place.with_name(f"{scene.place.name}.kept")
    scene.place.rename(kept)
    with mounted(scene.place, str(max(room, 4096))):
        subprocess.run(["cp", "-a", f"{kept}/.", str(scene.place)], check=True)
        subprocess.run(["rm", "-r", str(kept)], check=True)
        yield replace(scene, base=scene.base)
    scene.place.mkdir(exist_ok=True)


def _limited(scene: Scene, most: int) -> None:
    """Before a command: no file may grow beyond so many bytes."""
    scene.before()
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, stderr=subprocess.DEVNULL)
