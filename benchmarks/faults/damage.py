"""One flipped bit, or a tail cut off, in files of every kind; then the command that uses them.

A trial is good where the command leaves and prints what it does in a sound place (it did not need the file,
or made it again), or where it refuses with exit code 2 and the path of the damaged file's folder.
"""

import json
import random
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.ground import STUDENT, Ground
from benchmarks.faults.processes import GLANCE, wrong_words
from benchmarks.faults.report import Table
from benchmarks.faults.scenes import Scene, content, difference
from lbkd.workspace import CARD, MANIFEST


@dataclass(frozen=True)
class Kind:
    """Files that one command uses."""

    name: str
    files: str
    """Pattern of their paths in the scene's folder."""
    scene: str
    """Attribute of `Places`."""


KINDS = (
    Kind("packed corpus", "corpus/*.packed", "fresh"),
    Kind("token tables", "tokens/*/*.npy", "fresh"),
    Kind("prepared encoder", "models/*/[!M]*", "fresh"),
    Kind("teacher's model", "runs/branch-mrc.*/model/[!M]*", "fresh"),
    Kind("teacher's run.json", "runs/branch-mrc.*/run.json", "fresh"),
    Kind("teachers' logits", "logits/*/*", "fresh"),
    Kind("manifests", f"**/{MANIFEST}", "fresh"),
    Kind("checkpoint", f"runs/{STUDENT}/checkpoints/**/*", "stopped"),
    Kind("scores and answers", f"runs/{STUDENT}/eval/*.json", "evaluated"),
    Kind("student", f"runs/{STUDENT}/model/*", "evaluated"),
    Kind("student, asked", f"runs/{STUDENT}/**/*.json", "asked"),
    Kind("export", "onnx/*", "asked_export"),
    Kind("memory of translations", "work/translations/*", "translated"),
    Kind("translated files", "test.[xy]*.json", "translated"),
    Kind("downloaded files", "*", "downloaded"),
    Kind("half a download", "*.part", "half_downloaded"),
    Kind("sweep", "reproduce/*", "swept"),
)


class Places:
    """The scenes whose files are harmed; each starts from a finished folder.

    Args:
        ground: of the campaign.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def scene(self, name: str) -> Scene:
        """A scene, learned."""
        kept = f"_{name}"
        if not hasattr(self, kept):
            setattr(self, kept, getattr(self, name)().learn())
        found: Scene = getattr(self, kept)
        return found

    def fresh(self) -> Scene:
        """A workspace without its student."""
        base = shutil.copytree(self.ground.done, self.ground.folder / "fresh")
        shutil.rmtree(base / "runs" / STUDENT)
        return Scene("fresh", self.ground.student.words, self.ground.work, base=base)

    def stopped(self) -> Scene:
        """A workspace whose student was killed after its second checkpoint."""
        scene, mark = self.scene("fresh"), f"runs/{STUDENT}/checkpoints/step-2/{MANIFEST}"
        scene.reset()
        started = scene.begin()
        while not (scene.place / mark).exists() and not started.ended():
            time.sleep(GLANCE)
        started.send(signal.SIGKILL)
        started.wait()
        base = scene.place.rename(self.ground.folder / "half")
        return Scene("stopped", scene.words, scene.place, base=base)

    def evaluated(self) -> Scene:
        """A finished student, scored again."""
        words = ["evaluate", STUDENT, *self.ground.options(trains=False), "--json"]
        return Scene("evaluated", words, self.ground.work, base=self.ground.done)

    def asked(self) -> Scene:
        """A finished student, asked a question."""
        words = ["predict", "--model", str(self.ground.work / "runs" / STUDENT), *self._question(), "--json"]
        return Scene("asked", words, self.ground.work, base=self.ground.done)

    def asked_export(self) -> Scene:
        """An exported student, asked a question."""
        base = self.ground.kept("exported", self.ground.export)
        place = self.ground.export.place
        words = ["predict", "--model", str(place / "onnx"), *self._question(), "--json"]
        return Scene("asked export", words, place, base=base)

    def translated(self) -> Scene:
        """A translated folder, translated again."""
        scene = self.ground.translation
        return Scene("translated", scene.words, scene.place, base=self.ground.kept("translated", scene))

    def downloaded(self) -> Scene:
        """A downloaded folder, downloaded again."""
        scene = self.ground.download
        base = self.ground.kept("downloaded", scene)
        return Scene("downloaded", scene.words, scene.place, base=base, before=scene.before)

    def half_downloaded(self) -> Scene:
        """A download that was interrupted."""
        scene = self.scene("downloaded")
        base = shutil.copytree(scene.base or scene.place, self.ground.folder / "half downloaded")
        whole = (base / "made-up.1.json").read_bytes()
        (base / "made-up.1.json").unlink()
        (base / "made-up.1.json.part").write_bytes(whole[: len(whole) // 2])
        return Scene("half downloaded", scene.words, scene.place, base=base, before=scene.before)

    def swept(self) -> Scene:
        """A finished sweep, made again."""
        scene = self.ground.sweep
        return Scene("swept", scene.words, scene.place, base=self.ground.kept("swept", scene))

    def _question(self) -> Sequence[str]:
        text = (self.ground.corpus / "test.en.json").read_text(encoding="utf-8")
        paragraph = json.loads(text)["data"][0]["paragraphs"][0]
        return ["--question", paragraph["qas"][0]["question"], "--passage", paragraph["context"]]


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


def damage(kind: Kind, scene: Scene, times: int, chance: random.Random, table: Table) -> None:
    """Harm files of a kind, each time in a sound place."""
    for _ in range(times):
        scene.reset()
        files = [
            path
            for path in sorted(scene.place.glob(kind.files))
            if path.is_file() and path.stat().st_size and path.name != CARD  # which people edit
        ]
        path = chance.choice(files)
        what = harm(path, chance)
        started = scene.begin()
        [code], told = started.wait(), started.told()
        wrong = wrong_words(told)
        if code == 0:
            name = path.relative_to(scene.place).as_posix()
            sound, found = (
                {n: h for n, h in each.items() if n != name} for each in (scene.sound, content(scene.place))
            )
            wrong = wrong or difference(sound, found)
            told_of = (
                started.printed() == scene.printed or "replaced" in started.printed()
            )  # files of a download
            wrong = wrong or ("" if told_of else "prints something else, in silence")
        elif code != 2:
            wrong = wrong or f"ended with {code}: {told.strip()[-500:]}"
        elif str(path.parent) not in told:
            wrong = f"the message does not name it: {told.strip()[-500:]}"
        table.add("damage", kind.name, f"{what}: {wrong}" if wrong else "")
