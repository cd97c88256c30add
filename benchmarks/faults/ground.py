"""The ground of a campaign: a corpus, an encoder, a trained workspace, and the scenes made of them."""

import contextlib
import functools
import os
import signal
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

from benchmarks.faults.processes import KEPT
from benchmarks.faults.scenes import Phase, Scene, write_corpus
from benchmarks.small_workspace import tiny_encoder
from lbkd.datasets import sources
from lbkd.datasets.sources import PublicDataset, Source
from lbkd.workspace import file_hash

STUDENT = "distill.combined.impurity"
STUDENT_PHASES = (
    Phase("loading", r"loading PyTorch", r"cutting the vocabulary"),
    Phase("encoder", r"cutting the vocabulary", "/models/enc*"),
    Phase("tokenizing", "/models/enc*", r"lacks the teachers"),
    Phase("teacher en", r"lacks the teachers", "/runs/branch-mrc.en/run.json"),
    Phase("teacher es", "/runs/branch-mrc.en/run.json", "/runs/branch-mrc.es/run.json"),
    Phase("scoring", "/runs/branch-mrc.es/run.json", f"/runs/{STUDENT}/training"),
    Phase("student", f"/runs/{STUDENT}/training", f"/runs/{STUDENT}/run.json"),
    Phase("selecting", r"[24]/4 [^\n]*\n\Z"),
    Phase("evaluating", f"/runs/{STUDENT}/run.json"),
)
TRAINING_PHASES = (
    Phase("training", "/runs/mix-mrc/training", "/runs/mix-mrc/run.json"),
    Phase("evaluating", "/runs/mix-mrc/run.json"),
)
_TRANSLATOR = '''import time
from lbkd.translation import Translator, registry


@registry.register("turned")
class Turned(Translator):
    """Words turned round, slowly."""

    batch = 2

    def translate(self, texts, source, target):
        time.sleep(0.01)
        return [" ".join(word[::-1] for word in text.split(" ")) for text in texts]
'''
_BYTES = 400_000
"""Of each file that is downloaded."""


class Ground:
    """A folder with all that the scenes share.

    Args:
        folder: empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.encoder = tiny_encoder(folder / "enc")
        self.corpus = write_corpus(folder / "corpus")
        self._server = 0

    @property
    def work(self) -> Path:
        """The workspace of commands."""
        return self.folder / "work"

    def options(self, workspace: Path | None = None, trains: bool = True) -> list[str]:
        """Options of commands with settings; four steps in two epochs, a checkpoint after each step."""
        settings = {"corpus.zero_shot": "", "model.trim": 500, "model.max_length": 128}
        if trains:
            settings |= {
                "training.max_steps": 4,
                "training.log_every": 1,
                "training.batch_size": 8,
                "training.learning_rate": 1e-3,
                "training.checkpoint_minutes": 1e-9,
            }
        sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        places = ["--model", str(self.encoder), "--workspace", str(workspace or self.work)]
        return ["--corpus", str(self.corpus), "--languages", "en,es", *places, *sets]

    @functools.cached_property
    def student(self) -> Scene:
        """The whole way: teachers, their logits, a student that is selected on dev, and its scores."""
        words = ["distill", "--select-on", "dev", *self.options(), "--json"]
        return Scene("student", words, self.work, STUDENT_PHASES).learn()

    @functools.cached_property
    def done(self) -> Path:
        """A workspace in which all this is done."""
        return self.kept("done", self.student)

    def kept(self, name: str, scene: Scene) -> Path:
        """A copy of the folder that a scene leaves undisturbed."""
        place = self.folder / name
        scene.reset()
        if wrong := scene.completed():
            raise SystemExit(f"{scene.name}: {wrong}")
        scene.place.rename(place)
        return place

    def training(self, stage: int, ranks: int) -> Scene:
        """One model at a ZeRO stage, in some ranks."""
        words = ["train", "--task", "mix-mrc", "--zero-stage", str(stage), *self.options(), "--json"]
        name = f"ZeRO {stage}, {ranks} rank{'s' * (ranks > 1)}"
        return Scene(name, words, self.work, TRAINING_PHASES, ranks).learn()

    @functools.cached_property
    def translation(self) -> Scene:
        """A corpus translated into two languages, one text after another."""
        place = self.folder / "translating"
        base, plugin = self.folder / "untranslated", self.folder / "turned.py"
        plugin.write_text(_TRANSLATOR)
        base.mkdir()
        for split in ("train", "test"):
            (base / f"{split}.en.json").write_bytes((self.corpus / f"{split}.en.json").read_bytes())
        words = ["translate", "--corpus", str(place), "--to", "xx,yy", "--workspace", str(place / "work")]
        words += ["--backend", "turned", "--plugin", str(plugin), "--json"]
        phases = (
            Phase("translating", "/work/translations/*", r"xx: [\d,]+ texts translated"),
            Phase("writing", r"xx: [\d,]+ texts translated"),
        )
        return Scene("translation", words, place, phases, base=base).learn()

    @functools.cached_property
    def export(self) -> Scene:
        """The student written as an ONNX folder."""
        place = self.folder / "exports"
        words = ["export", STUDENT, "--out", str(place / "onnx"), "--corpus", str(self.corpus)]
        words += [
            "--workspace",
            str(self.done),
            "--languages",
            "en,es",
            "--set",
            "corpus.zero_shot=",
            "--json",
        ]
        phases = (Phase("exporting", r"as ONNX", "/onnx"),)
        return Scene("export", words, place, phases).learn()

    @functools.cached_property
    def sweep(self) -> Scene:
        """Two models side by side, over what the finished workspace has."""
        words = ["sweep", "--task", "mix-mrc,translate-train", *self.options(), "--json"]
        words += ["--set", "training.epochs=1", "--set", "task.translate-train.lang=en"]
        phases = (
            Phase("first model", "/runs/*/training", "/runs/*/run.json"),
            Phase("second model", "/runs/*/run.json", "/reproduce/*"),
        )
        return Scene("sweep", words, self.work, phases).learn()

    @functools.cached_property
    def download(self) -> Scene:
        """Two files from a slow server on this machine."""
        served = self.folder / "served"
        served.mkdir()
        table = []
        for number in range(2):
            file = served / f"made-up.{number}.json"
            file.write_bytes(bytes((7 * n + number) % 251 for n in range(_BYTES)))
            table.append(Source(f"https://nowhere/{file.name}", _BYTES, file_hash(file), {"": file.name}))
        made_up = PublicDataset("made-up", "none", tuple(table), {})
        address = self._serve(served)
        place = self.folder / "downloads"
        words = ["data", "download", "made-up", "--out", str(place), "--mirror", address, "--json"]
        phases = (
            Phase("first file", "/made-up.0.json.part", "/made-up.0.json"),
            Phase("second file", "/made-up.1.json.part", "/made-up.1.json"),
        )
        before = functools.partial(_know, made_up)
        return Scene("download", words, place, phases, before=before).learn()

    def close(self) -> None:
        """Stop the server."""
        if self._server:
            os.kill(self._server, signal.SIGKILL)
            os.waitpid(self._server, 0)

    def _serve(self, folder: Path) -> str:
        """Start a server of a folder's files in a process of its own; its address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Slow, folder))
        self._server = os.fork()
        if self._server == 0:
            server.serve_forever()
        server.server_close()
        KEPT.add(self._server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    def at(self, scene: Scene, place: Path) -> Scene:
        """The same scene in another folder."""
        words = [word.replace(str(scene.place), str(place)) for word in scene.words]
        return replace(scene, place=place, words=words)


def _know(dataset: PublicDataset) -> None:
    mock.patch.object(sources, "dataset", lambda name: dataset).start()


class _Slow(BaseHTTPRequestHandler):
    """Serves files, and parts of them, in a fifth of a second."""

    def __init__(self, folder: Path, *connection: object) -> None:
        self.folder = folder
        super().__init__(*connection)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Send a file, from the byte on that was asked for."""
        content = (self.folder / self.path.rpartition("/")[2]).read_bytes()
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # who asked is gone
            for at in range(first, len(content), len(content) // 20):
                self.wfile.write(content[at : at + len(content) // 20])
                time.sleep(0.01)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
