import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ranks import settings

from lbkd import tasks
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Answer, Dataset, Question
from lbkd.engine import meter
from lbkd.errors import ConfigError
from lbkd.evaluation.evaluate import evaluate
from lbkd.evaluation.evaluation_set import EvaluationSet, own_test_set
from lbkd.evaluation.metrics import score_each
from lbkd.evaluation.significance import holm, paired_bootstrap
from lbkd.planning.estimate import Cost, Estimator
from lbkd.planning.jobs import job_of
from lbkd.planning.workload import Size
from lbkd.project import Project
from lbkd.reproduction import reproduce
from lbkd.reproduction.recipe import Row
from lbkd.reproduction.reproduce import complete_table, runs_of_rows, training_order
from lbkd.tasks.baseline import Baseline
from lbkd.training.run import Run
from lbkd.training.schedule import Schedule

QUICK = {"corpus.limit": 2, "corpus.zero_shot": "de", "training.max_steps": 2}
ROWS = [
    Row(name="Lewis", paper={"en": (62.4, 74.9)}),  # type: ignore[dict-item]
    Row(name="Baseline", task="baseline"),
    Row(name="w/o LBMRC", task="translate-train", each_language=True, against="Baseline"),
    Row(name="Ours", task="distill", weighting="fixed", against="Baseline"),
    Row(name="w/ en", task="distill", weighting="fixed", options={"teachers": ["en"]}, against="Ours"),
]


def project(model: Path, workspace: Path, **over: Any) -> Project:
    return Project(settings(model, workspace, **(QUICK | over)))


def test_teachers_come_first_and_nothing_twice(tiny_model_folder: Path, tmp_path: Path) -> None:
    one = project(tiny_model_folder, tmp_path)
    names = [run.folder.name for run in training_order(runs_of_rows([one, one.altered(seed=2)], ROWS))]
    first = [
        "baseline",
        "translate-train.es",
        "branch-mrc.en",
        "branch-mrc.es",
        "distill.combined.fixed",
        "distill.combined.fixed.en",
    ]
    assert names == [*first, *(f"{name}.seed2" for name in first)]


def test_rows_with_other_options_have_folders_of_their_own(tiny_model_folder: Path, tmp_path: Path) -> None:
    one = project(tiny_model_folder, tmp_path)
    rows = [
        Row(name="a", task="distill"),
        Row(name="b", task="distill", weighting_options={"temperature": 2.0}),
        Row(name="c", task="lakm", options={"rate": 0.3}),
    ]
    names = [run.name for run in training_order(runs_of_rows([one], rows))]
    assert names == [
        "branch-mrc.en",
        "branch-mrc.es",
        "distill.combined.impurity",
        "distill.combined.impurity.temperature=2.0",
        "lakm.rate=0.3",
    ]


def test_rows_that_would_overwrite_each_other(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task of somebody else's that gives the same label whatever its options are."""
    monkeypatch.setattr(tasks.registry, "_scripted", {})

    @tasks.registry.register("reticent")
    class Reticent(Baseline):
        label = "same"

        def __init__(self, x: int = 0) -> None:
            self.x = x

    rows = [Row(name=name, task="reticent", options={"x": x}) for x, name in enumerate("ab")]
    with pytest.raises(ConfigError, match="rows 'a' and 'b' would both write .*reticent.same"):
        training_order(runs_of_rows([project(tiny_model_folder, tmp_path)], rows))


@pytest.fixture(scope="module")
def done(
    tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Project], list[dict[str, Any]], set[str]]:
    """All rows for two seeds, after a stop in the middle; and what was finished before it."""
    workspace = tmp_path_factory.mktemp("reproduced")
    one = project(tiny_model_folder, workspace)
    projects = [one, one.altered(seed=2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter, "matmul_peak", lambda *_: 1e10)
        go_on = reproduce.train_run

        def stop(run: Run) -> Path:
            if run.components.task == "distill":
                raise KeyboardInterrupt
            return go_on(run)

        patch.setattr(reproduce, "train_run", stop)
        with pytest.raises(KeyboardInterrupt):
            complete_table(runs_of_rows(projects, ROWS), own_test_set(one))
        patch.setattr(reproduce, "train_run", go_on)
        before = {path.parent.name: path.stat().st_mtime_ns for path in workspace.glob("runs/*/run.json")}
        entries = complete_table(runs_of_rows(projects, ROWS), own_test_set(one))
    kept = {
        name
        for name, time in before.items()
        if (workspace / f"runs/{name}/run.json").stat().st_mtime_ns == time
    }
    return projects, entries, kept


def test_a_stopped_one_goes_on(done: tuple[list[Project], list[dict[str, Any]], set[str]]) -> None:
    _, _, kept = done
    assert kept == {"baseline", "translate-train.es", "branch-mrc.en", "branch-mrc.es"}


def test_the_table(done: tuple[list[Project], list[dict[str, Any]], set[str]]) -> None:
    projects, entries, _ = done
    evaluation_set = own_test_set(projects[0])
    assert [entry["row"] for entry in entries] == [row.name for row in ROWS]
    assert (entries[0]["scores"], entries[0]["paper"], entries[0]["gain"]) == ({}, {"en": [62.4, 74.9]}, None)
    assert [list(entry["scores"]) for entry in entries[1:]] == [
        ["en", "es", "de"],
        ["es"],
        ["en", "es", "de"],
        ["en", "es", "de"],
    ]

    def f1(run: str, language: str) -> list[float]:
        folder = projects[0].settings.workspace / "runs" / run
        answers = json.loads((folder / evaluation_set.answers(language, language)).read_text())
        each = score_each(evaluation_set.golds(language, language), answers, evaluation_set.metric, language)
        return [100 * one.f1 for one in each.values()]

    runs = ["distill.combined.fixed", "distill.combined.fixed.seed2"]
    for language in ("en", "de"):
        a, b = (sum(values) / len(values) for values in (f1(run, language) for run in runs))
        found = entries[3]["scores"][language]
        assert found["f1"] == pytest.approx((a + b) / 2)
        assert found["f1_sd"] == pytest.approx(abs(a - b) / math.sqrt(2))
    own = [
        [f1(run, "es") for run in pair]
        for pair in (["translate-train.es", "translate-train.es.seed2"], ["baseline", "baseline.seed2"])
    ]
    by_hand = paired_bootstrap(own[0], own[1])
    gain = {"against": "Baseline", "languages": ["es"], "questions": 6, **vars(by_hand)}
    p = [entry["gain"]["p"] for entry in entries[2:]]
    assert entries[2]["gain"] == {**gain, "p_holm": holm(p)[0]}
    assert entries[3]["gain"]["languages"] == ["en", "es", "de"]


def costs(one: Project, runs: list[Run], size: Size | None = None) -> dict[str, Cost]:
    estimator = Estimator(one, size)
    return {cost.name: cost for cost in estimator.costs([job_of(run, estimator.at_hand) for run in runs])}


def test_what_it_will_cost(
    done: tuple[list[Project], list[dict[str, Any]], set[str]], tiny_model_folder: Path, tmp_path: Path
) -> None:
    projects, _, _ = done
    found = costs(projects[0], training_order(runs_of_rows(projects[:1], ROWS)))
    assert all(cost.done for cost in found.values())
    longer = projects[0].altered(training=projects[0].settings.training.model_copy(update={"max_steps": 3}))
    found = costs(longer, training_order(runs_of_rows([longer], ROWS)))
    assert not any(cost.done for cost in found.values())  # all would be trained again
    fresh = project(tiny_model_folder, tmp_path, **{"training.max_steps": None, "training.epochs": 3})
    found = costs(fresh, training_order(runs_of_rows([fresh], ROWS)))
    assert list(found)[2:5] == ["branch-mrc.en", "branch-mrc.es", "logits of branch-mrc.en"]
    assert not any(cost.done for cost in found.values())
    features = fresh.train_features
    everything = [(k, j) for k in ("en", "es") for j in ("en", "es")]
    schedule = Schedule(features, everything, fresh.settings)
    tokens = int(features.lengths(schedule.windows).sum())
    student = found["distill.combined.fixed"]
    assert student.steps == schedule.steps == sum(1 for _ in schedule)
    assert student.tokens == 3 * tokens
    assert found["logits of branch-mrc.es"].tokens == tokens
    packed = 2e-9 * (8 * len(schedule.windows) + 1.5 * tokens)
    assert found["logits of branch-mrc.es"].gigabytes == pytest.approx(packed)


def test_what_it_costs_where_the_texts_are_not_at_hand(tiny_model_folder: Path, tmp_path: Path) -> None:
    away = project(
        tiny_model_folder, tmp_path, **{"corpus.dir": str(tmp_path / "nowhere"), "training.max_steps": None}
    )
    size = Size(questions=110, passages=22, passage_tokens=36, question_tokens=10)
    [baseline] = costs(away, training_order(runs_of_rows([away], ROWS[1:2])), size).values()
    training = away.settings.training
    assert baseline.steps == training.epochs * math.ceil(110 / training.batch_size)
    assert baseline.tokens == training.epochs * 110 * 50
    assert not baseline.done


def test_answers_of_another_evaluation_set_do_not_get_into_the_table(
    done: tuple[list[Project], list[dict[str, Any]], set[str]],
) -> None:
    """The same questions asked with other settings, and in all pairs of languages, in between."""
    projects, entries, _ = done
    one = projects[0]
    short = one.altered(evaluation=one.settings.evaluation.model_copy(update={"max_answer_tokens": 1}))
    evaluate(short, one.settings.workspace / "runs" / "baseline", replace(own_test_set(one), matrix=True))
    assert complete_table(runs_of_rows(projects, ROWS), own_test_set(one)) == entries
    evaluate(short, one.settings.workspace / "runs" / "baseline", own_test_set(one))
    assert complete_table(runs_of_rows(projects, ROWS), own_test_set(one)) == entries


def test_rows_that_do_not_fit_are_refused_before_anything_starts(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    one = project(tiny_model_folder, tmp_path)
    for row, message in (
        (Row(name="a", task="distill", criterion="combind"), "did you mean 'combined'"),
        (Row(name="a", task="distill", weighting="impurty"), "did you mean 'impurity'"),
        (
            Row(name="a", task="distill", weighting_options={"weights": {"dee": 1}}, weighting="fixed"),
            "'dee'",
        ),
        (Row(name="a", task="mix-mrc", criterion="mlm"), "masks none"),
    ):
        with pytest.raises(ConfigError, match=message):
            complete_table(runs_of_rows([one], [ROWS[1], row]), own_test_set(one))
    whole = own_test_set(one)
    only = replace(whole, corpus=replace(whole.corpus, datasets={"en": whole.corpus.datasets["en"]}))
    with pytest.raises(ConfigError, match="row 'w/o LBMRC' has a model for 'es', no column"):
        complete_table(runs_of_rows([one], ROWS[2:3]), only)
    rows = [
        Row(name=target, task="translate-train", each_language=True, against="de", settings=settings)
        for target in ("es", "de")
        for settings in [{"corpus.languages": ["en", target], "corpus.zero_shot": []}]
    ]
    with pytest.raises(ConfigError, match=r"row 'es' \(es\) has no language in common .*'de' \(de\)"):
        complete_table(runs_of_rows([one], rows), whole)
    assert not (tmp_path / "runs").exists()


def test_columns_are_what_the_mean_is_over(
    done: tuple[list[Project], list[dict[str, Any]], set[str]],
) -> None:
    projects, entries, _ = done
    only = own_test_set(projects[0], ["es", "en"])
    assert list(only.corpus.datasets) == ["es", "en"]
    assert set(only.corpus.question_ids) == set(own_test_set(projects[0]).corpus.question_ids)
    found = complete_table(runs_of_rows(projects, ROWS), own_test_set(projects[0], ["es"]))
    for whole, entry in zip(entries[1:], found[1:], strict=True):
        assert entry["scores"]["es"] == {
            **whole["scores"]["es"],
            "shared_questions": whole["scores"]["es"]["questions"],
        }
        assert list(entry["scores"]) == ["es"]
        assert entry["mean"].items() <= entry["scores"]["es"].items()
    with pytest.raises(ConfigError, match=r"test.fr.json is asked for and not there; choices: de, en, es"):
        own_test_set(projects[0], ["es", "fr"])
    assert complete_table(runs_of_rows(projects, ROWS), own_test_set(projects[0])) == entries


def test_each_language_counts_alike_in_a_gain() -> None:
    """One English question is won by 100, each of three Swahili ones lost by 30: 35 on average of the two."""
    items = {"en": [("a", "x")], "sw": [("b", "x"), ("c", "x"), ("d", "x")]}
    datasets = {
        language: Dataset(
            Path(),
            language,
            ("x",),
            (0,),
            ("",),
            tuple(Question(id, "?", 0, (Answer(text, 0),)) for id, text in asked),
        )
        for language, asked in items.items()
    }
    corpus = ParallelCorpus(datasets, "en", tuple("abcd"))
    f1 = {"ours": ([100.0], [0.0] * 3), "theirs": ([0.0], [30.0] * 3)}
    scores = {
        row: {
            language: np.stack([values, values], axis=-1)[None]
            for language, values in zip(items, by_language, strict=True)
        }
        for row, by_language in f1.items()
    }
    gain = reproduce._gain(
        Row(name="ours", against="theirs"), scores, EvaluationSet("test", corpus, "squad-v1")
    )
    assert gain is not None
    assert (gain["difference"], gain["low"], gain["high"]) == pytest.approx((35, 35, 35))
    assert (gain["questions"], gain["languages"]) == (4, ["en", "sw"])
