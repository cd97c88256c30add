"""Run the campaign, or some kinds of its faults; the exit code is 1 where any trial was bad."""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults import clock, damage, disk, kills, lost, signals
from benchmarks.faults.crowd import crowd, teachers
from benchmarks.faults.ground import Ground
from benchmarks.faults.processes import load
from benchmarks.faults.report import Table
from benchmarks.faults.scenes import Scene

STAGES, RANKS = (0, 1, 2, 3), (1, 2)


class Campaign:
    """All kinds of faults, on one ground.

    Args:
        ground: where it happens.
        times: trials of each phase, kind of file or command.
        seed: of all chances.
        quick: the translation of a small corpus alone, which trains nothing.
    """

    def __init__(self, ground: Ground, times: int, seed: int, quick: bool) -> None:
        self.ground, self.times, self.quick, self.table = ground, times, quick, Table()
        self.chance = random.Random(seed)

    def kill(self) -> None:
        """SIGKILL in each phase of the whole way."""
        for scene in self.scenes():
            kills.scene_kills(scene(), self.times, self.chance, self.table)
        if not self.quick:
            kills.first_seconds(self.ground.student, self.times, self.chance, self.table)

    def zero(self) -> None:
        """SIGKILL in trainings at each ZeRO stage, in one rank and in two."""
        for ranks in RANKS:
            for stage in STAGES:
                scene = self.ground.training(stage, ranks)
                kills.scene_kills(scene, self.times, self.chance, self.table)

    def signal(self) -> None:
        """SIGTERM and SIGINT in each phase."""
        for scene in self.scenes():
            signals.scene_signals(scene(), self.few, self.chance, self.table)
        if not self.quick:
            signals.scene_signals(self.ground.training(2, 2), self.few, self.chance, self.table)
            signals.first_seconds(self.ground.student, self.times, self.chance, self.table)
            signals.launched_ranks(self.ground.training(0, 1), self.few, self.chance, self.table)

    def damage(self) -> None:
        """Damaged files of every kind."""
        places = damage.Places(self.ground)
        for kind in damage.KINDS:
            if self.quick and kind.scene != "translated":
                continue
            damage.damage(kind, places.scene(kind.scene), self.times, self.chance, self.table)

    def disk(self) -> None:
        """Disks that are full, or cannot be written."""
        mounts = disk.can_mount(self.ground.folder)
        if not mounts:
            self.table.skip("full disks and read-only places: no file system can be mounted here")
        for make in self.scenes():
            scene = make()
            disk.small_files(scene, self.few, self.chance, self.table)
            if mounts:
                disk.full_disk(scene, self.times, self.chance, self.table)
                disk.read_only(scene, self.table)

    def crowd(self) -> None:
        """Two to four commands at once."""
        for scene in self.scenes():
            crowd(scene(), self.few, self.table)
        if not self.quick:
            teachers(self.ground.student, self.few, self.table)

    def clock(self) -> None:
        """Clocks that jump."""
        if clock.library() is None:
            self.table.skip("clocks that jump: libfaketime is not installed (Debian's package faketime)")
        else:
            clock.jumps(self.ground.student, self.few, self.chance, self.table)

    def ranks(self) -> None:
        """Lost ranks, and hosts that never come."""
        scene = self.ground.training(2, 2)
        lost.lost_rank(scene, self.few, self.chance, self.table)
        lost.absent_host(scene, self.table)

    @property
    def few(self) -> int:
        """Trials of what takes long, or is not asked for often."""
        return max(1, self.times // 3)

    def scenes(self) -> list[Callable[[], Scene]]:
        """The scenes of most kinds, each made when its time comes."""
        ground = self.ground
        makers: list[Callable[[], Scene]] = [lambda: ground.translation]
        if not self.quick:
            makers = [
                lambda: ground.student,
                *makers,
                lambda: ground.download,
                lambda: ground.export,
                lambda: ground.sweep,
            ]
        return makers


KINDS = ("kill", "zero", "signal", "damage", "disk", "crowd", "clock", "ranks")
QUICK = ("kill", "signal", "damage", "disk", "crowd")


def main(words: list[str] | None = None) -> None:
    """Try the kinds in turn, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--kinds", help=f"of {','.join(KINDS)}; all by default")
    parser.add_argument("--seed", type=int, default=1, help="of all chances (%(default)s)")
    parser.add_argument("--times", type=int, default=10, help="trials of each phase or kind (%(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="a test run: a translation alone, one trial each"
    )
    arguments = parser.parse_args(words)
    kinds = arguments.kinds.split(",") if arguments.kinds else QUICK if arguments.quick else KINDS
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"--kinds {', '.join(sorted(unknown))}: the kinds are {', '.join(KINDS)}")
    load()
    with tempfile.TemporaryDirectory() as place:
        ground = Ground(Path(place))
        campaign = Campaign(
            ground, 1 if arguments.quick else arguments.times, arguments.seed, arguments.quick
        )
        try:
            for kind in kinds:
                getattr(campaign, kind)()
        finally:
            ground.close()
    campaign.table.show()
    sys.exit(campaign.table.failed)


if __name__ == "__main__":
    main()
