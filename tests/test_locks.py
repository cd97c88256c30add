import errno
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

from lbkd import locks, workspace
from lbkd.locks import FileLock, locked
from lbkd.workspace import replacing

PROCESSES = multiprocessing.get_context("spawn")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A result that is not there yet, in a folder that is not there yet."""
    return tmp_path / "runs" / "baseline"


def hold(place: Path, held: Event, until: Event) -> None:
    """Hold a lock, with a folder that is half filled, until told otherwise."""
    with locked(place, print), replacing(place) as folder:
        (folder / "half").touch()
        held.set()
        until.wait()


@pytest.fixture
def holder(place: Path) -> Any:
    """Another process that holds the lock on `place`; its event lets it finish."""
    held, until = PROCESSES.Event(), PROCESSES.Event()
    process = PROCESSES.Process(target=hold, args=(place, held, until), daemon=True)
    process.start()
    assert held.wait(60)
    yield process, until
    if process.is_alive():  # a killed process would be waited for, for ever
        until.set()
    process.join(60)


def test_one_process_at_a_time(holder: Any, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process, until = holder
    monkeypatch.setattr(locks, "_BETWEEN_ATTEMPTS", 0.01)
    assert not FileLock(place).acquire()
    notes: list[str] = []

    def note(message: str) -> None:
        notes.append(message)
        assert not place.exists()
        until.set()

    with locked(place, note):
        assert [path.name for path in place.iterdir()] == ["half"]
    assert notes == [f"waiting for process {process.pid} on {os.uname().nodename}, which works on {place}"]
    assert [path.name for path in place.parent.iterdir()] == ["baseline"]


def test_a_killed_process_holds_nothing_and_leaves_nothing(holder: Any, place: Path) -> None:
    process, _ = holder
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert len(list(place.parent.iterdir())) == 3  # two locks and a folder
    with locked(place, pytest.fail), replacing(place) as folder:
        (folder / "whole").touch()
    assert [path.name for path in place.parent.iterdir()] == ["baseline"]
    assert [path.name for path in place.iterdir()] == ["whole"]


def test_a_folder_that_was_moved_aside_is_put_back(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may be gone when it has moved the former folder aside, and the new one is not in place."""
    place.mkdir(parents=True)
    (place / "former").touch()

    def gone(*_: Path) -> None:
        place.rename(place.with_name(f".{place.name}.01234567.old"))
        raise KeyboardInterrupt

    monkeypatch.setattr(workspace, "put_in_place", gone)
    with pytest.raises(KeyboardInterrupt), replacing(place):
        pass
    assert not place.exists()
    monkeypatch.undo()
    with pytest.raises(ZeroDivisionError), replacing(place):
        assert (place / "former").exists()
        raise ZeroDivisionError
    assert [path.name for path in place.parent.iterdir()] == ["baseline"]


def test_a_living_process_keeps_its_folder(holder: Any, place: Path) -> None:
    """Two processes fill the same folder without a lock: the one that is done last wins."""
    process, until = holder
    with replacing(place) as folder:
        (folder / "mine").touch()
    assert [path.name for path in place.iterdir()] == ["mine"]
    until.set()
    process.join(60)
    assert process.exitcode == 0
    assert [path.name for path in place.iterdir()] == ["half"]


def test_the_lock_is_free_after_an_error(place: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(place, pytest.fail), replacing(place):
        raise ZeroDivisionError
    assert list(place.parent.iterdir()) == []
    with locked(place, pytest.fail):
        pass


def test_threads_take_turns(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each lock file is removed while others wait for it: none of them may hold a file that is gone."""
    monkeypatch.setattr(locks, "_BETWEEN_ATTEMPTS", 0.0005)
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with locked(place, lambda _: None):
                inside += 1
                most = max(most, inside)
                time.sleep(0.0001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)


def test_others_hear_of_every_attempt(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_BETWEEN_ATTEMPTS", 0.0)
    outcomes = []
    first = FileLock(place)
    assert first.acquire()

    def agree(held: bool) -> bool:
        outcomes.append(held)
        if len(outcomes) == 3:
            first.release()
        return held

    quiet: Callable[[str], None] = pytest.fail
    with locked(place, quiet, agree):
        pass
    assert outcomes == [False, False, False, True]


def test_a_disk_without_locks_locks_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(locks.errno.ENOTSUP, "not supported")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with locked(place, pytest.fail), locked(place, pytest.fail):
        pass


def test_a_full_disk_does_not_keep_a_lock_from_being_held(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    lock, other = FileLock(place), FileLock(place)
    assert lock.acquire()
    assert not other.acquire()
    assert other.owner() == "another process"
    lock.release()
    assert other.acquire()
    other.release()
