"""A notebook in a real kernel: what cells show, an interrupt, a weighting that is edited and run again."""

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient", reason="needs the packages nbclient and ipykernel")
pytest.importorskip("ipykernel", reason="needs the packages nbclient and ipykernel")
from nbformat.v4 import new_code_cell, new_notebook  # noqa: E402

pytestmark = pytest.mark.slow

FIRST = """
import lbkd
words = dict(model={model!r}, workspace="work", languages=["en", "es"], progress=True)
small = {{"corpus.limit": 2, "corpus.zero_shot": [], "training.max_steps": 2, "training.log_every": 1}}
"""
WEIGHTING = """
from lbkd import Weighting, weighting_registry

@weighting_registry.register("mine")
class Mine(Weighting):
    share = 1.0

    def weights(self, logits, context):
        return (logits[:, :, 0] * 0 * self.share).softmax(0)

print(weighting_registry.provenance("mine", {})["source"])
"""
STUDENT = 'student = lbkd.distill(weighting="mine", set=small, **words)\nprint(student.name)'
LONG = """
long = small | {"training.max_steps": 5000, "training.checkpoint_minutes": 600}
lbkd.train("mix-mrc", name="long", set=long, **words)
"""


class Notebook:
    """A kernel whose working directory is a folder, and cells that are run one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.loop = folder, asyncio.new_event_loop()
        self.client = nbclient.NotebookClient(
            new_notebook(), timeout=120, resources={"metadata": {"path": str(folder)}}
        )
        self._kernel = self.client.async_setup_kernel()
        self.loop.run_until_complete(self._kernel.__aenter__())

    def close(self) -> None:
        self.loop.run_until_complete(self._kernel.__aexit__(None, None, None))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def __call__(self, source: str) -> str:
        """What a cell prints; else it shows bars only."""
        return self._printed(self.loop.run_until_complete(self._run(source)))

    def interrupted(self, source: str, step: int) -> None:
        """Run a cell that the stop button interrupts after a step of the training inside."""

        def reached() -> bool:
            logs = self.folder.glob("work/runs/*/training/metrics.jsonl")
            return any(f'{{"step": {step},' in log.read_text() for log in logs)

        async def both() -> Any:
            running = asyncio.create_task(self._run(source, "raises-exception"))
            while not reached() and not running.done():
                await asyncio.sleep(0.05)
            await self.client.km.interrupt_kernel()
            return await running

        cell = self.loop.run_until_complete(both())
        assert [one.ename for one in cell.outputs if one.output_type == "error"] == ["KeyboardInterrupt"]
        assert self._printed(cell) == ""

    async def _run(self, source: str, *tags: str) -> Any:
        cells = self.client.nb.cells
        cells.append(new_code_cell(source, metadata={"tags": list(tags)}))
        return await self.client.async_execute_cell(cells[-1], len(cells) - 1)

    def _printed(self, cell: Any) -> str:
        lines = "".join(one.text for one in cell.outputs if one.get("name") == "stderr").splitlines()
        assert [line for line in lines if line and "it/s" not in line] == []
        return "".join(one.text for one in cell.outputs if one.get("name") == "stdout").strip()


@pytest.fixture(scope="module")
def cell(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    notebook = Notebook(tmp_path_factory.mktemp("notebook"))
    try:
        notebook(FIRST.format(model=str(tiny_model_folder)))
        yield notebook
    finally:
        notebook.close()


def test_train_distil_and_evaluate(cell: Notebook) -> None:
    """A weighting that is defined again changes nothing; one that is edited trains the student again."""
    cell('teacher = lbkd.train("branch-mrc", lang="es", set=small, **words)')
    source = cell(WEIGHTING)
    assert cell(STUDENT) == "distill.combined.mine"
    cell("scores = lbkd.evaluate([teacher, student], set=small, **words)")
    scored = cell("print({(score.model, score.language) for score in scores})")
    assert ast.literal_eval(scored) == {
        (model, language) for model in ("branch-mrc.es", "distill.combined.mine") for language in ("en", "es")
    }
    about = cell.folder / "work/runs/distill.combined.mine/run.json"
    first = about.read_bytes()
    assert cell(f"# the same, further down\n{WEIGHTING}") == source
    cell(STUDENT)
    assert about.read_bytes() == first
    assert cell(WEIGHTING.replace("share = 1.0", "share = 2.0")) != source
    cell(STUDENT)
    assert about.read_bytes() != first


def test_an_interrupt_leaves_a_checkpoint(cell: Notebook) -> None:
    cell("import io, logging\nlogger = logging.getLogger('lbkd')\nlogger.setLevel('INFO')")
    cell("told = io.StringIO()\nlogger.addHandler(logging.StreamHandler(told))")
    cell.interrupted(LONG, step=2)
    [checkpoint] = cell.folder.glob("work/runs/long/checkpoints/step-*")
    step = int(checkpoint.name.partition("-")[2])
    assert 2 <= step < 5000
    cell.interrupted(LONG, step=step + 2)
    assert f"going on after step {step} of 5000" in cell("print(told.getvalue())")
    steps = [int(path.name.partition("-")[2]) for path in cell.folder.glob("work/runs/long/checkpoints/*")]
    assert max(steps) >= step + 2
