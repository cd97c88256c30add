"""Commands of lbkd in processes of their own, forked from this one, which has imported everything already.

A forked command is a real process with the code of `lbkd`: it is killed, stopped and starved as any other,
but starts in no time. What happens while packages are imported is tried with commands started from nothing.
"""

import ctypes
import gc
import os
import re
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import NoReturn

import lbkd

PATIENCE = 180.0
"""Seconds after which a command that has not ended counts as hanging."""
_HEAVY = (
    *("torch", "torch.utils.tensorboard", "transformers", "onnxruntime", "onnxscript", "httpx2"),
    *("lbkd_cli.main", "lbkd.api.work"),
)
GLANCE = 0.004
"""Seconds between two looks at a command."""
_PARENT_DEATH, _ADOPT = 1, 36
"""PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER of Linux."""
KEPT: set[int] = set()
"""Processes of the campaign itself."""
Before = Callable[[], object]


def load() -> None:
    """Import what commands need, without starting a thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in (*_HEAVY, *(found.name for found in walk_packages(lbkd.__path__, "lbkd."))):
        with suppress(ImportError):  # an extra that is not installed
            import_module(name)
    from lbkd.engine import meter
    from lbkd.engine.importing import import_deepspeed

    import_deepspeed()
    _control(_ADOPT, 1)
    vars(meter)["matmul_peak"] = lambda *_: 1e10  # measured for the shown share alone, for a second
    gc.collect()
    gc.freeze()  # what is loaded is no concern of the children's collectors


@dataclass
class Started:
    """A command that runs; several processes where it has several ranks."""

    folder: Path
    """Of its outputs, a pair of files a process."""
    pids: list[int]

    def __post_init__(self) -> None:
        self._codes: dict[int, int] = {}

    def told(self) -> str:
        """Standard error so far, rank after rank."""
        return "".join(self._text("err", n) for n in range(len(self.pids)))

    def printed(self) -> str:
        """Standard output of the first process so far."""
        return self._text("out", 0)

    def send(self, number: int, only: int | None = None) -> None:
        """Send a signal to all processes, or to one."""
        for pid in self.pids if only is None else [self.pids[only]]:
            if pid not in self._codes:
                os.kill(pid, number)

    def ended(self) -> bool:
        """Whether all processes have ended."""
        for pid in self.pids:
            if pid not in self._codes:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    self._codes[pid] = os.waitstatus_to_exitcode(status)
        return len(self._codes) == len(self.pids)

    def wait(self, patience: float = PATIENCE) -> list[int]:
        """Exit codes as shells give them, rank by rank; a process that hangs is killed, and has 999."""
        until = time.monotonic() + patience
        while not self.ended() and time.monotonic() < until:
            time.sleep(GLANCE)
        hung = [pid for pid in self.pids if pid not in self._codes]
        self.send(signal.SIGKILL)
        for pid in hung:
            os.waitpid(pid, 0)
            self._codes[pid] = 999
        return [128 - code if code < 0 else code for code in (self._codes[pid] for pid in self.pids)]

    def orphans(self) -> list[int]:
        """Processes that commands left behind: this process has adopted them, see `load`."""
        mine = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        known = {*self.pids, *KEPT}
        return [pid for pid in map(int, mine) if pid not in known and not _gone(pid)]

    def _text(self, kind: str, number: int) -> str:
        path = self.folder / f"{number}.{kind}"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def forked(words: Sequence[str], folder: Path, ranks: int = 1, before: Before = bool) -> Started:
    """Start a command in one process, or in several that a launcher might have started.

    Args:
        words: of the command line, without `lbkd`.
        folder: for its outputs; emptied.
        ranks: processes.
        before: is called in each of them first.
    """
    environment = {}
    if ranks > 1:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks)}
    return rank_processes(words, folder, range(ranks), environment, before)


def rank_processes(
    words: Sequence[str], folder: Path, ranks: Sequence[int], environment: Mapping[str, str], before: Before
) -> Started:
    """Start the processes of some ranks; the environment of a launcher tells where they meet."""
    _empty(folder)
    sys.stdout.flush()
    sys.stderr.flush()
    pids = []
    for number, rank in enumerate(ranks):
        if (pid := os.fork()) == 0:
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if environment else {}
            _command(
                words,
                [folder / f"{number}.{kind}" for kind in ("out", "err")],
                {**environment, **own},
                before,
            )
        pids.append(pid)
    return Started(folder, pids)


def real(words: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Started:
    """Start a command from nothing, as a shell does."""
    _empty(folder)
    with (folder / "0.out").open("wb") as out, (folder / "0.err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "lbkd_cli", *words],
            stdout=out,
            stderr=err,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            process_group=0,
            preexec_fn=_usual_signals,
        )
    return Started(folder, [process.pid])


def _control(what: int, value: int) -> None:
    ctypes.CDLL(None).prctl(what, value, 0, 0, 0)


def _gone(pid: int) -> bool:
    """Whether an adopted process has ended; it is buried then."""
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()


def _usual_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN if number == signal.SIGPIPE else signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _command(
    words: Sequence[str], outputs: Sequence[Path], own: Mapping[str, str], before: Before
) -> NoReturn:
    """Be a command of lbkd, to the end of the process."""
    code = 1
    try:
        os.setpgid(0, 0)
        _control(_PARENT_DEATH, signal.SIGKILL)  # a campaign that is stopped leaves nothing
        for descriptor, path in enumerate(outputs, start=1):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(handle, descriptor)
            os.close(handle)
        _usual_signals()
        os.environ.update(own)
        before()
        sys.argv = ["lbkd", *words]
        import_module("lbkd_cli.main").main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def wrong_words(told: str) -> str:
    """What standard error must never have; empty if it has none of it."""
    found = re.search(r"Traceback \(most recent call last\)|Fatal Python error|Segmentation fault", told)
    return told[found.start() :][:3000] if found else ""
