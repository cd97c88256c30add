"""A launcher of several ranks on this machine."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from types import FrameType

from lbkd.distributed.interrupts import SAVING, STOPPING

_GRACE = 30.0
"""Seconds that ranks have to end after a rank failed or was interrupted."""


def launch(command: Sequence[str], nproc: int, output: int | None = None) -> int:
    """Run `command` in `nproc` processes, each a rank of one process group.

    A signal is passed on to every rank once: ranks run outside the terminal's foreground process group, so
    that the terminal does not signal a rank as well. A signal that this process ignores, as under nohup, the
    ranks ignore too. If a rank fails, the other ranks are terminated.

    Args:
        command: program and arguments.
        nproc: number of ranks.
        output: file descriptor of the ranks' standard output; None: this process's.

    Returns:
        The exit code of the first rank that failed, else 0.
    """
    environment = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(nproc),
    }
    environment.setdefault("OMP_NUM_THREADS", str(max(1, cores() // nproc)))
    ranks: list[subprocess.Popen[bytes]] = []
    interrupts = []

    def pass_on(number: int, _: FrameType | None) -> None:
        if number != SAVING:
            interrupts.append(number)
        for process in ranks:
            process.send_signal(number)

    heard = [number for number in (*STOPPING, SAVING) if signal.getsignal(number) != signal.SIG_IGN]
    former = {number: signal.signal(number, pass_on) for number in heard}
    try:
        for rank in map(str, range(nproc)):
            own = {**environment, "RANK": rank, "LOCAL_RANK": rank}
            ranks.append(subprocess.Popen(command, env=own, stdout=output, process_group=0))
            if interrupts:  # one came when this rank was not there yet
                ranks[-1].send_signal(interrupts[0])
        while not (failed := [process.returncode for process in ranks if process.poll()]):
            if all(process.returncode == 0 for process in ranks):
                return 0
            time.sleep(0.05)
        return _exit_code(failed[0])
    finally:
        if not interrupts:  # a second signal would disturb ranks that clean up
            for process in ranks:
                process.terminate()
        _wait(ranks)
        for number, handler in former.items():
            signal.signal(number, handler)


def _wait(ranks: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Wait until all ranks have ended; a rank that runs longer than `_GRACE` is killed."""
    deadline = time.monotonic() + _GRACE
    for process in ranks:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _exit_code(code: int) -> int:
    """Exit code as shells give it: 128 + number for a process that a signal ended."""
    return 128 - code if code < 0 else code


def cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_port() -> int:
    """A TCP port that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
