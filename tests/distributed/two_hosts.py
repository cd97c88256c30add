"""Two hosts on one machine: network namespaces with names and addresses of their own, and a cable between."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

NAMES = ("host1", "host2")
_KINDS = ("--net", "--uts", "--mount")
_INSIDE = 'hostname "$0" && mount --bind "$1" /etc/hosts && ip link set lo up && echo ready && exec cat'
"""What keeps a namespace: it ends with its standard input, at the latest with the test's own process."""


@dataclass(frozen=True)
class Host:
    """One namespace of each kind, kept by a process."""

    name: str
    keeper: "subprocess.Popen[str]"

    def line(self, command: Sequence[str], folder: Path) -> list[str]:
        """The command line that runs a command on this host."""
        return [*self.enter(), *_KINDS, f"--wd={folder}", *command]

    def enter(self) -> list[str]:
        """The beginning of a command line that runs in some of its namespaces."""
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", f"--target={self.keeper.pid}", *user]

    def do(self, *command: str) -> None:
        """Run a command of the system; skips the test where that is not allowed."""
        done = subprocess.run(self.line(command, Path("/")), capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"two network namespaces cannot be joined here: {done.stderr.strip()}")

    def processes(self, word: str = "") -> list[int]:
        """Those that run here and have the word in their command line."""
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and self._holds(entry) and word.encode() in _command_line(entry)
        ]

    def _holds(self, process: Path) -> bool:
        with suppress(OSError):
            return (process / "ns/net").stat().st_ino == Path(f"/proc/{self.keeper.pid}/ns/net").stat().st_ino
        return False


@dataclass(frozen=True)
class Done:
    """What a command on a host did."""

    code: int
    out: str
    err: str


class Started:
    """A command on each of the hosts; standard output and error go to files of a folder."""

    def __init__(
        self, hosts: Sequence[Host], commands: Sequence[Sequence[str]], folder: Path, **env: str
    ) -> None:
        self.folder = folder
        self._hosts = hosts
        self._processes = []
        for host, command in zip(hosts, commands, strict=True):
            with (
                (folder / f"{host.name}.out").open("w") as out,
                (folder / f"{host.name}.err").open("w") as err,
            ):
                line = host.line(command, folder)
                self._processes.append(subprocess.Popen(line, stdout=out, stderr=err, env=env))

    def wait(self, deadline: float) -> list[Done]:
        """What they did; an error with what they said, if they are not done within so many seconds."""
        until = time.monotonic() + deadline
        with suppress(subprocess.TimeoutExpired):
            for process in self._processes:
                process.wait(max(0.0, until - time.monotonic()))
        done = []
        for host, process in zip(self._hosts, self._processes, strict=True):
            said = [(self.folder / f"{host.name}.{end}").read_text() for end in ("out", "err")]
            assert process.returncode is not None, f"{host.name} goes on after {deadline} s: {said}"
            done.append(Done(process.returncode, *said))
        return done


@contextmanager
def two_hosts(folder: Path) -> Iterator[tuple[Host, Host]]:
    """Make them, and leave nothing of them; skips, saying why, where that may not be."""
    missing = [tool for tool in ("ip", "unshare", "nsenter", "mount") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"two hosts need {missing} (Debian: iproute2, util-linux)")
    addresses = folder / "hosts"
    addresses.write_text("127.0.0.1 localhost\n10.0.0.1 host1\n10.0.0.2 host2\n")
    hosts: list[Host] = []
    try:
        for name in NAMES:
            hosts.append(_host(name, addresses, hosts[0] if hosts else None))
        first, second = hosts
        first.do("ip", "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", str(second.keeper.pid))
        for number, host in enumerate(hosts, start=1):
            host.do("ip", "address", "add", f"10.0.0.{number}/24", "dev", "eth0")
            host.do("ip", "link", "set", "eth0", "up")
        yield first, second
    finally:
        for host in hosts:
            while others := set(host.processes()) - {host.keeper.pid}:
                for process in others:
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
            host.keeper.communicate()  # closes what it reads


def _host(name: str, addresses: Path, first: Host | None) -> Host:
    """Without root's rights, in a user namespace, which the second host shares with the first."""
    if os.geteuid() == 0:
        begin = ["unshare"]
    elif first is None:
        begin = ["unshare", "--user", "--map-root-user"]
    else:
        begin = [*first.enter(), "unshare"]
    keeper = subprocess.Popen(
        [*begin, *_KINDS, "sh", "-c", _INSIDE, name, str(addresses)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert keeper.stdout is not None
    said = keeper.stdout.readline().strip()
    if said != "ready":
        keeper.communicate()
        pytest.skip(f"network namespaces cannot be made here: {said}")
    return Host(name, keeper)


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
