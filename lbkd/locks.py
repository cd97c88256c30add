"""Locks between commands that run at the same time in one workspace."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_BETWEEN_ATTEMPTS = 0.2
"""Seconds between two attempts to take a lock."""
_ATTEMPTS_BEFORE_NOTE = 5
"""Attempts after which a waiting command tells what it waits for."""


class FileLock:
    """A lock on a result, held by one process at a time on all hosts that share the disk.

    The operating system locks the file `.<name>.lock` beside the result (flock), and releases it when the
    process ends, however the process ends. On a disk without file locks nothing is locked.

    Args:
        place: file or folder of the result, which need not exist.
    """

    def __init__(self, place: Path) -> None:
        self.path = place.with_name(f".{place.name}.lock")
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Take the lock unless another process has it; True if the lock is held now."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            current = self.path.exists() and os.path.samestat(os.fstat(handle), self.path.stat())
        except OSError as error:
            current = error.errno in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)
        if not current:  # held by another process, or just released, which removes the file
            os.close(handle)
            return False
        with suppress(OSError):  # a full disk has no room for the owner's name; the lock is held without
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        self._handle = handle
        return True

    def owner(self) -> str:
        """Process and host that hold the lock, for messages."""
        with suppress(OSError):
            return self.path.read_text(encoding="utf-8") or "another process"
        return "another process"

    def release(self) -> None:
        """Give the lock up, if it is held."""
        if self._handle is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None


@contextmanager
def locked(
    place: Path, note: Callable[[str], None], agree: Callable[[bool], bool] = lambda held: held
) -> Iterator[None]:
    """Hold the lock on a result while the block runs; wait while another process holds it.

    Args:
        place: file or folder of the result.
        note: is told who holds the lock, once, after a second of waiting.
        agree: hands the outcome of every attempt to processes that wait for this one.
    """
    lock, attempts = FileLock(place), 0
    try:
        while not agree(lock.acquire()):
            attempts += 1
            if attempts == _ATTEMPTS_BEFORE_NOTE:
                note(f"waiting for {lock.owner()}, which works on {place}")
            time.sleep(_BETWEEN_ATTEMPTS)
        yield
    finally:
        lock.release()
