"""What a run keeps of its teachers, held against the stored logits and against other ways to the run."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_runs import STUDENT, Notes, files, project, train
from ranks import Ranks, made_up, settings
from run_folders import described as run_of

from lbkd.audit.record import Audit, read_audit
from lbkd.config import Settings
from lbkd.errors import ConfigError, DataError
from lbkd.models.run_folder import read_run
from lbkd.project import Project
from lbkd.reporting.explained import explained
from lbkd.tasks import Teacher
from lbkd.training.steps import cache_logits
from lbkd.workspace import fingerprint

KEPT = {"training.keep_weights": True}
NAMES = ("audit.json", "audit.npz")


def of_run(folder: Path) -> Audit:
    run = read_run(folder)
    assert run is not None
    found = read_audit(folder, run.provenance)
    assert found is not None
    return found


@pytest.fixture
def kept(copy: Path, tiny_model_folder: Path) -> Path:
    """The folder of the student, to which its command added the record."""
    whole, _ = project(tiny_model_folder, copy, **KEPT)
    return train(whole, "distill")


def softmax(logits: np.ndarray, axis: int | None = None) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def test_every_number_is_that_of_the_stored_logits(kept: Path, copy: Path, tiny_model_folder: Path) -> None:
    """One window after another, in plain loops; impurity is softmax of the entropies."""
    audit = of_run(kept)
    whole, _ = project(tiny_model_folder, copy)
    features, longest = whole.train_features, whole.settings.evaluation.max_answer_tokens
    stores = [cache_logits(whole, Teacher(name, "branch-mrc", {"lang": name})) for name in ("en", "es")]
    assert (audit.teachers, audit.languages, audit.longest) == (("en", "es"), ("en", "es"), longest)
    assert np.array_equal(audit.feature, stores[0].features)
    windows, lengths = features.windows(audit.feature), features.lengths(audit.feature)
    edges = list(features.offsets(windows))
    for n in range(0, len(audit.feature), 5):
        begins, ends = edges[n]
        passage = features.passage_text(windows, n)
        at = int(lengths[n]) - len(begins) - len(features.template.last)
        first, last = int(windows.first[n] - windows.start[n]), int(windows.last[n] - windows.start[n])
        answered = windows.first[n] >= 0
        label = [int(begins[first]), int(ends[last])] if answered else [-1, -1]
        assert audit.gold[n].tolist() == label
        assert audit.read[n].tolist() == [begins[0], ends[-1]]
        assert 0 <= begins[0] < ends[-1] <= len(passage)
        entropies = np.zeros((2, 2))
        for k, store in enumerate(stores):
            halves = np.stack(store.read(audit.feature[n : n + 1], int(lengths[n])))[:, 0].astype(float)
            for half, place in enumerate((first, last)):
                p = softmax(halves[half])
                entropies[half, k] = -(p * np.log(p)).sum()
                wanted = at + place if answered else 0
                assert audit.hit[n, half, k] == (halves[half].argmax() == wanted)
            spans = {(-1, -1): halves[:, 0].sum()} | {
                (b, e): halves[0, at + b] + halves[1, at + e]
                for b in range(len(begins))
                for e in range(b, min(b + longest, len(begins)))
            }
            best = max(spans, key=lambda span: spans[span])
            place = [int(begins[best[0]]), int(ends[best[1]])] if best[0] >= 0 else [-1, -1]
            assert audit.answer[n, k].tolist() == place
            assert audit.right[n, k] == (place == label)
            chance = 1 / sum(math.exp(score - spans[best]) for score in spans.values())
            assert audit.probability[n, k] == pytest.approx(chance, rel=2e-3)
        assert audit.entropy[n] == pytest.approx(entropies, rel=2e-3)
        for half in range(2):
            assert audit.weights[n, half] == pytest.approx(softmax(entropies[half]), abs=1e-3)


def test_a_finished_run_gets_what_a_training_keeps(
    kept: Path, done: tuple[Path, list[dict[str, Any]], Notes], copy: Path, tiny_model_folder: Path
) -> None:
    """Nothing is trained or scored, no other file changes; once there, it is read."""
    before, after = files(done[0] / "runs" / STUDENT), files(kept)
    assert {name: after[name][1] for name in after if name not in NAMES} == {
        name: content for name, (_, content) in before.items()
    }
    again, notes = project(tiny_model_folder, copy, **KEPT)
    train(again, "distill")
    assert not notes.worked
    anew, notes = project(tiny_model_folder, copy, **KEPT)
    kept.rename(copy / "former")
    train(anew, "distill")
    assert notes.worked == {STUDENT, f"{STUDENT} weighs"}
    assert [(kept / name).read_bytes() for name in NAMES] == [after[name][1] for name in NAMES]


def test_a_run_that_kept_nothing_is_explained_from_the_stores(
    kept: Path, done: tuple[Path, list[dict[str, Any]], Notes], copy: Path
) -> None:
    from_stores = explained(Project(Settings(workspace=done[0])), STUDENT, 3)
    read = explained(Project(Settings(workspace=copy)), STUDENT, 3)
    assert (from_stores.kept, read.kept) == (False, True)
    assert vars(from_stores) == vars(read) | {"kept": False}
    assert not [name for name in NAMES if (done[0] / "runs" / STUDENT / name).exists()]


def test_the_sum_is_held_against_plain_loops(kept: Path, copy: Path, tiny_model_folder: Path) -> None:
    """By one teacher alone the sum is that teacher; impurity's is the weighted sum of the stored logits."""
    audit = of_run(kept)
    whole, _ = project(tiny_model_folder, copy, **{"weighting.fixed.weights": {"es": 3.0}})
    rows = explained(whole, STUDENT, 0, ["fixed", "impurity"]).sums
    assert {row["weighting"] for row in rows} == {
        "impurity",
        "fixed.weights=" + fingerprint("{'es': 3.0}")[:8],
    }
    means = {(row["weighting"].partition(".")[0], row["part"]): row["mean"] for row in rows}
    stores = [cache_logits(whole, Teacher(name, "branch-mrc", {"lang": name})) for name in ("en", "es")]
    windows = whole.train_features.windows(audit.feature)
    lengths = whole.train_features.lengths(audit.feature)
    nll = np.zeros((2, len(audit.feature)))
    for n, length in enumerate(lengths.tolist()):
        at = length - (windows.stop[n] - windows.start[n]) - len(whole.train_features.template.last)
        ends = windows.first[n] - windows.start[n] + at, windows.last[n] - windows.start[n] + at
        labels = ends if windows.first[n] >= 0 else (0, 0)
        read = np.array(
            [np.stack(each.read(audit.feature[n : n + 1], length))[:, 0] for each in stores], float
        )
        weights = softmax(audit.entropy[n].astype(float), 1)
        by_weight = np.einsum("hk,khl->hl", weights, read)
        for way, logits in enumerate((by_weight, read[1])):
            nll[way, n] = -np.mean([np.log(softmax(logits[half])[labels[half]]) for half in range(2)])

    def mean(values: np.ndarray) -> float:
        return float(np.mean([values[audit.question == each].mean() for each in np.unique(audit.question)]))

    assert means["fixed", "start"] == pytest.approx(mean(audit.hit[:, 0, 1]))
    assert means["fixed", "end"] == pytest.approx(mean(audit.hit[:, 1, 1]))
    assert means["fixed", "answer"] == pytest.approx(mean(audit.right[:, 1]))
    assert means["fixed", "nll"] == pytest.approx(mean(nll[1]), abs=1e-5)
    assert means["impurity", "nll"] == pytest.approx(mean(nll[0]), abs=1e-3)
    gaps = {row["part"]: row for row in rows if row["weighting"] != "impurity"}
    assert gaps["nll"]["difference"] == pytest.approx(means["fixed", "nll"] - means["impurity", "nll"])
    assert not any(row["difference"] for row in rows if row["weighting"] == "impurity")


def test_other_weightings_need_the_logits(kept: Path, copy: Path) -> None:
    (copy / "logits").rename(copy / "elsewhere")
    whole = Project(Settings(workspace=copy))
    assert explained(whole, STUDENT, 0).sums == []
    with pytest.raises(
        DataError,
        match=f"{STUDENT} has no logits that other weightings could weigh: .*no teacher logits here",
    ):
        explained(whole, STUDENT, 0, ["fixed"])
    with pytest.raises(ConfigError, match="no weighting 'fixd'"):
        explained(whole, STUDENT, 0, ["fixd"])


def test_a_reader_that_teaches_is_explained(copy: Path, tiny_model_folder: Path) -> None:
    whole, _ = project(tiny_model_folder, copy, **KEPT)
    folder = train(whole, "distill", {"teachers": [f"old={copy / 'runs/baseline'}", "es"]}, None, "fixed")
    audit = of_run(folder)
    assert audit.teachers == ("old", "es")
    assert np.all(audit.weights == 0.5)
    found = explained(whole, folder.name, 0)
    assert {row["teacher"] for row in found.trust} == {"es", "old"}
    assert all(row["share"] in (0.5, None) for row in found.order if row["by"] == "weight")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["cut", "changed", "gone"])
def test_damaged_files_are_refused(tmp_path: Path, name: str, how: str) -> None:
    about = run_of(corpus="texts")
    some = {name: np.zeros(1) for name in Audit.__dataclass_fields__ if name not in ("teachers", "languages")}
    some.pop("longest")
    Audit(("en",), ("en",), 30, **some).write(tmp_path, about.provenance)
    assert read_audit(tmp_path, about.provenance) is not None
    assert read_audit(tmp_path, {"corpus": "other texts"}) is None
    file = tmp_path / name
    content = file.read_bytes()
    if how == "gone":
        file.unlink()
        if name == "audit.json":
            assert read_audit(tmp_path, about.provenance) is None
            return
    else:
        file.write_bytes(content[: len(content) // 2] if how == "cut" else content.replace(b"e", b"f", 1))
    with pytest.raises(
        DataError, match=rf"{name}: (missing, )?damaged.* Remove .*audit.json; the run's command"
    ):
        read_audit(tmp_path, about.provenance)


def columns(how: Settings, weighting: str) -> dict[str, Any]:
    where = Project(how)
    teachers = made_up(where, weighting)
    return teachers.audit(where.train_features, 30).columns


def test_two_ranks_keep_what_one_keeps(
    two_ranks: Ranks, tiny_model_folder: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = settings(tiny_model_folder, workspace)
    alone = columns(how, "confidence")
    for shared in two_ranks(columns, how, "confidence"):
        assert all(np.array_equal(column, shared[name]) for name, column in alone.items())
