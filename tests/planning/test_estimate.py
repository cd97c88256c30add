import itertools
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
from ranks import Ranks, settings

from lbkd.config import BUILTIN_CORPUS, Settings
from lbkd.corpus.packed import packed_place
from lbkd.engine import meter
from lbkd.errors import ConfigError
from lbkd.evaluation.selection import selection_set
from lbkd.features.dataset import FeatureSet
from lbkd.planning import speed as speed_module
from lbkd.planning.advice import advise
from lbkd.planning.disk import Disk, token_tables
from lbkd.planning.estimate import Estimator
from lbkd.planning.hardware import GIB, Hardware, hardware
from lbkd.planning.jobs import Job, jobs_of, jobs_of_all
from lbkd.planning.model_size import KNOWN
from lbkd.planning.run_workload import counted_workload, expected_workload
from lbkd.planning.speed import Speed
from lbkd.planning.workload import Size, Texts
from lbkd.project import Project
from lbkd.teachers.store import LogitsStore
from lbkd.training.schedule import Schedule

SIZE = Size(questions=1000, passages=200, passage_tokens=80, question_tokens=16)
"""100 tokens a window, four of them special."""
GPU = hardware("h100x8")


def assumed(
    tmp_path: Path, machine: Hardware = GPU, model: str = "xlm-roberta-base", **over: Any
) -> Estimator:
    """Of texts that are not there, in English and Spanish; batches of 32."""
    nowhere = {"corpus.dir": str(tmp_path / "nowhere"), "model.name": model, "training.batch_size": 32}
    return Estimator(Project(settings(tmp_path, tmp_path, **nowhere | over)), SIZE, machine)


def test_all_of_the_way_by_hand(tmp_path: Path) -> None:
    estimator = assumed(tmp_path, **{"training.epochs": 3})
    costs = estimator.costs(jobs_of_all(estimator.project))
    counts = {cost.name: (cost.pairs, cost.windows, cost.steps, cost.tokens) for cost in costs}
    assert counts == {
        "baseline": (1000, 3000, 3 * 32, 300_000),
        "branch-mrc.en": (2000, 6000, 3 * 63, 600_000),
        "branch-mrc.es": (4000, 12_000, 3 * 125, 1_200_000),
        "logits of branch-mrc.en": (4000, 4000, 0, 400_000),
        "logits of branch-mrc.es": (4000, 4000, 0, 400_000),
        "distill": (4000, 12_000, 3 * 125, 1_200_000),
    }
    weights = 12 * 12 * 768**2 + 2 * 768
    student, logits = costs[-1], costs[-2]
    assert student.flops == 6 * weights * 1.2e6 + 12 * 12 * 768 * 12_000 * 100**2
    assert logits.flops == pytest.approx(student.flops / 9)  # a third of the windows, and forward only
    assert student.hours == pytest.approx(student.flops / (0.4 * 8 * 989e12) / 3600)
    assert student.gigabytes == 4e-9 * KNOWN["xlm-roberta-base"].parameters
    assert logits.gigabytes == pytest.approx(2e-9 * (8 * 4000 + 1.5 * 400_000))
    assert token_tables(estimator) == pytest.approx(2e-9 * (12 * (200 * 80 + 1000 * 16) + 8 * 1200))


def test_a_student_with_half_of_the_layers(tmp_path: Path) -> None:
    """It costs half as much, and its teachers what they cost."""
    small, whole = (assumed(tmp_path, **more) for more in ({"model.layers": 6}, {}))
    costs = (each.costs(jobs_of_all(each.project)) for each in (small, whole))
    mine, others = ({cost.name: cost for cost in some} for some in costs)
    layer = 12 * 768**2
    for name in ("baseline", "distill"):
        assert mine[name].flops / others[name].flops == pytest.approx(0.5, abs=1e-4)
        assert others[name].gigabytes - mine[name].gigabytes == pytest.approx(4e-9 * 6 * layer, rel=1e-3)
    for name in ("branch-mrc.es", "logits of branch-mrc.es"):
        assert mine[name] == others[name]


def test_teachers_beside_a_student(tmp_path: Path) -> None:
    """Each reads all that the student reads, forward only: a third of the student's own operations."""
    estimator = assumed(tmp_path)
    alone, taught = (
        estimator.costs(jobs_of_all(estimator.project, hidden=each))[-1] for each in (False, True)
    )
    assert taught.flops == pytest.approx(alone.flops * (1 + 2 / 3))
    assert taught.hours == pytest.approx(alone.hours * (1 + 2 / 3), rel=0.01)
    job = jobs_of_all(estimator.project, hidden=True)[-1]
    [size, _] = estimator.beside(job)
    assert size == KNOWN["xlm-roberta-base"]
    memory = advise(estimator, job).stages[0]
    length, windows = estimator.longest(job), memory.micro_batch
    assert memory.teachers == 2 * 4 * (size.parameters + 2 * windows * length * 768)
    without = advise(estimator, replace(job, hidden=False)).stages[0]
    assert memory.total - without.total == pytest.approx(memory.teachers)


def test_steps_that_end_within_an_epoch(tmp_path: Path) -> None:
    """75 steps of 32 are three fifths of 4000 windows; 250 are all, twice."""
    some = assumed(tmp_path, **{"training.max_steps": 75})
    logits, student = some.costs(jobs_of(some.project, "distill", {}))[-2:]
    assert (student.steps, student.windows, logits.windows) == (75, 2400, 2400)
    more = assumed(tmp_path, **{"training.max_steps": 250})
    logits, student = more.costs(jobs_of(more.project, "distill", {}))[-2:]
    assert (student.steps, student.windows, logits.windows) == (250, 8000, 4000)


def test_question_languages_that_are_drawn(tmp_path: Path) -> None:
    """One of two in each of three epochs: seven of eight pairs are seen."""
    drawn = assumed(tmp_path, **{"training.epochs": 3}).drawing(1)
    logits, student = drawn.costs(jobs_of(drawn.project, "distill", {}))[-2:]
    assert (student.pairs, student.windows, logits.windows) == (2000, 6000, 3500)


def test_masked_windows_by_hand(tmp_path: Path) -> None:
    """As many again, and 15 of their 100 tokens told by a head of 768² and 768 x 250002 weights."""
    estimator = assumed(tmp_path)
    jobs = jobs_of(estimator.project, "baseline", {}) + jobs_of(estimator.project, "lakm", {})
    plain, masked = estimator.costs(jobs)
    assert masked.tokens == 2 * plain.tokens
    head = 6 * (768**2 + 768 * 250_002)
    assert masked.flops - 2 * plain.flops == pytest.approx(0.15 * plain.tokens * head)


@pytest.mark.parametrize(
    "over",
    [{}, {"training.question_languages_per_example": 1, "training.epochs": 2}, {"training.max_steps": 3}],
)
def test_what_a_run_will_read(over: dict[str, int], tiny_model_folder: Path, workspace: Path) -> None:
    """Of texts at hand all counts are exact, those of windows left to chance too."""
    project = Project(settings(tiny_model_folder, workspace, **over))
    schedule = Schedule(
        project.train_features, [(k, j) for k in ("en", "es") for j in ("en", "es")], project.settings
    )
    ids = np.concatenate([batch for _, batch in schedule])
    *_, logits, student = Estimator(project, None, GPU).costs(jobs_of(project, "distill", {}))
    assert (student.steps, student.windows) == (schedule.steps, len(ids))
    assert student.tokens == project.train_features.lengths(ids).sum()
    assert logits.windows == len(schedule.windows)
    assert logits.tokens == project.train_features.lengths(schedule.windows).sum()
    epochs = [epoch for epoch, _ in schedule]
    scored = sum(epoch.is_integer() for epoch in epochs[:-1]) + 1  # see TrainingLoop
    assert counted_workload(project.train_features, schedule.pairs, project.settings).epochs == scored
    assert (
        expected_workload(Texts.of(project.train_features), schedule.pairs, project.settings.training).epochs
        == scored
    )


def test_jobs_have_the_names_of_their_runs(tiny_model_folder: Path, workspace: Path) -> None:
    project = Project(settings(tiny_model_folder, workspace, seed=2))
    assert [job.name for job in jobs_of_all(project)] == [
        "baseline.seed2",
        "branch-mrc.en.seed2",
        "branch-mrc.es.seed2",
        "distill.seed2",
    ]
    mixed = jobs_of(project, "distill", {"teacher_task": "mix-mrc"})
    assert [job.name for job in mixed] == ["mix-mrc.seed2", "mix-mrc.seed1002", "distill.mix-mrc.seed2"]


def test_selection_is_counted(tiny_model_folder: Path, tmp_path: Path) -> None:
    """Of 21 questions in English, by rank 0 alone, after each epoch of each model that is not done."""
    for language in ("en", "es"):
        shutil.copy(BUILTIN_CORPUS / f"train.{language}.json", tmp_path)
    dev = json.loads((BUILTIN_CORPUS / "test.en.json").read_text(encoding="utf-8"))
    (tmp_path / "dev.en.json").write_text(json.dumps({**dev, "data": dev["data"][:2]}), encoding="utf-8")
    over = {"corpus.dir": str(tmp_path), "corpus.zero_shot": "", "training.epochs": 3}
    project = Project(settings(tiny_model_folder, tmp_path / "w", **over | {"training.select_on": "dev"}))
    estimator = Estimator(project, None, GPU)
    corpus = selection_set(project, "dev").corpus
    features = estimator.features_of(corpus)
    windows = features.lengths(features.features([("en", "en")]))
    cost = estimator.selection(jobs_of_all(project))
    assert cost is not None
    assert (cost.name, cost.pairs) == ("selection on dev, 12 times", 12 * len(corpus.question_ids))
    assert (cost.windows, cost.tokens) == (12 * len(windows), 12 * windows.sum())
    assert cost.hours == pytest.approx(8 * cost.flops / estimator.speed.forward / 3600)
    done = [replace(job, done=True) for job in jobs_of_all(project)]
    assert estimator.scorings(done, done)[0].windows == 0
    plain = Estimator(Project(settings(tiny_model_folder, tmp_path / "w", **over)), None, GPU)
    assert plain.scorings(done, done) == []  # no split to select on, and none to test


def test_files_on_disk(tiny_model_folder: Path, workspace: Path) -> None:
    """Packed texts and token tables are the files themselves; a saved e5-small has its whole vocabulary."""
    project = Project(settings(tiny_model_folder, workspace))
    estimator = Estimator(project, None, GPU)
    found = Disk.of(estimator, estimator.costs(jobs_of_all(project)), 0)
    packed = {
        packed_place(data.path, workspace / "corpus") for data in project.train_corpus.datasets.values()
    }
    packed |= {
        packed_place(data.path, workspace / "corpus") for data in project.test_corpus.datasets.values()
    }
    assert found.corpus == pytest.approx(1e-9 * sum(place.stat().st_size for place in packed))
    assert len(packed) == 4  # two languages to learn from, and to test
    assert found.models == pytest.approx(4 * 4e-9 * estimator.model_size.parameters)


def test_e5_small_is_saved_whole(tmp_path: Path) -> None:
    estimator = assumed(tmp_path, model="e5-small")
    [cost] = estimator.costs(jobs_of(estimator.project, "baseline", {}))
    assert cost.gigabytes == 4e-9 * (117_505_920 + 2 * 384 + 2)  # encoder and head
    assert estimator.model_size.parameters < 0.4 * estimator.saved_parameters
    cut = assumed(tmp_path, model="e5-small", **{"model.trim": 20_000})
    assert cut.saved_parameters == cut.model_size.parameters
    guessed = Disk.of(estimator, [cost], 0)
    assert guessed.corpus == pytest.approx(1e-9 * 7 * 2 * (200 * 80 + 1000 * 16))


JOB = Job("mix-mrc", [("en", "en")])


def advised(
    tmp_path: Path, gib: float, ranks: int = 8, precision: str = "bf16", **over: Any
) -> dict[str, str]:
    machine = Hardware("some", ranks, 1e15, gib * GIB, precision, "cuda")
    return advise(assumed(tmp_path, machine, **over), JOB).settings


def test_the_lowest_stage_that_fits_is_advised(tmp_path: Path) -> None:
    """Four windows on each of eight ranks, of a large model: each stage holds less than the one before."""
    assert advised(tmp_path, 80) == {"runtime.precision": "bf16", "runtime.zero_stage": "0"}
    large = {"model.name": "xlm-roberta-large"}
    totals = [stage.total / GIB for stage in advise(assumed(tmp_path, **large), JOB).stages]
    assert totals[:3] == sorted(totals[:3], reverse=True)
    for stage in (0, 1, 2):
        assert advised(tmp_path, totals[stage] / 0.9 + 0.01, **large)["runtime.zero_stage"] == str(stage)
    assert advised(tmp_path, 80, precision="fp16", ranks=1)["runtime.zero_stage"] == "0"
    assert advised(tmp_path, 80, **{"runtime.zero_stage": 2})["runtime.zero_stage"] == "2"


def test_the_micro_batch_is_halved_until_it_fits(tmp_path: Path) -> None:
    least = min(stage.total / GIB for stage in advise(assumed(tmp_path), JOB).stages)
    found = advised(tmp_path, least / 0.9 - 0.1)
    assert found["training.micro_batch_size"] == "2"
    assert "training.micro_batch_size" not in advised(tmp_path, 80, ranks=3)  # 11 each
    nothing = advise(assumed(tmp_path, Hardware("small", 8, 1e15, GIB, "bf16", "cuda")), JOB)
    assert nothing.chosen is None


def test_question_languages_are_drawn_where_there_are_many(tmp_path: Path) -> None:
    names = ",".join(["en", *(f"l{n}" for n in range(7))])
    many = {"corpus.languages": names}
    assert advised(tmp_path, 80, **many)["training.question_languages_per_example"] == "7"
    own = many | {"training.question_languages_per_example": 3}
    assert "training.question_languages_per_example" not in advised(tmp_path, 80, **own)


def test_more_ranks_than_windows(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training.batch_size = 4 is less than the 8 ranks of some"):
        advised(tmp_path, 80, **{"training.batch_size": 4})


def test_real_steps_are_measured(tiny_model_folder: Path, tmp_path: Path) -> None:
    """And nothing of them is kept."""
    project = Project(settings(tiny_model_folder, tmp_path))
    estimator = Estimator(project)
    cost = estimator.costs(jobs_of(project, "mix-mrc", {}))[0]
    assert estimator.hardware.ranks == 1
    assert estimator.speed.source.startswith("measured on 4 steps")
    assert 0 < cost.hours < 1
    assert math.isclose(cost.hours, cost.flops / estimator.speed.training / 3600)
    assert estimator.speed.forward > 0
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "logits").exists()


def test_a_teacher_is_as_fast_as_it_was(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock goes on by a second whenever it is read; three pass while the teacher scores."""
    seconds, lengths = itertools.count(), []

    def score(model: object, features: FeatureSet, store: LogitsStore, *_: object, **__: object) -> None:
        lengths.append(features.lengths(store.features))
        next(seconds), next(seconds)

    monkeypatch.setattr(speed_module, "compute_logits", score)
    monkeypatch.setattr(speed_module, "time", SimpleNamespace(perf_counter=lambda: float(next(seconds))))
    estimator = Estimator(Project(settings(tiny_model_folder, tmp_path)))
    found = estimator.speed.forward
    (read,) = lengths
    assert found == pytest.approx(estimator.model_size.forward_flops(read.sum(), (read**2).sum()) / 3)


def speed(how: Settings) -> Speed:
    with mock.patch.object(meter, "matmul_peak", lambda *_: 1e10):
        return Estimator(Project(how)).speed


def test_ranks_measure_together(two_ranks: Ranks, tiny_model_folder: Path, tmp_path: Path) -> None:
    one, other = two_ranks(speed, settings(tiny_model_folder, tmp_path))
    assert one == other
    assert one.source.startswith("measured")
