import itertools
import json
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from ranks import Ranks, furthest, settings

from lbkd import tasks
from lbkd.config import Settings
from lbkd.engine import meter
from lbkd.engine.optimizer import parameter_groups
from lbkd.errors import ConfigError, DataError, LbkdError
from lbkd.project import Project
from lbkd.tasks import Masking
from lbkd.training.masking import MaskedStream, masked_stream, masking_of
from lbkd.training.run import Components
from lbkd.training.steps import run_all, train
from lbkd.workspace import read_json

PAIRS = [("en", "en"), ("es", "es")]
TWENTY = {"training.max_steps": 20, "training.adam_eps": 1e-5}


@pytest.fixture
def how(tiny_model_folder: Path, tmp_path: Path) -> Settings:
    return settings(tiny_model_folder, tmp_path, **TWENTY)


def stream(project: Project, phrases: Path | None, rate: float = 0.15) -> MaskedStream:
    torch.manual_seed(1)
    found = masked_stream(project, Masking(PAIRS, phrases, rate))
    assert found is not None
    return found


def lines_of(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def changed(how: Settings, section: str, **values: Any) -> Settings:
    return how.model_copy(update={section: getattr(how, section).model_copy(update=values)})


def trained(
    how: Settings, task: str, options: dict[str, Any]
) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """The lines of metrics.jsonl, and the saved weights."""
    from safetensors.torch import load_file

    with mock.patch.object(meter, "matmul_peak", lambda *_: 1e10):
        run = train(Project(how), Components(task, options))
    return lines_of(run), load_file(run / "model" / "model.safetensors")


@pytest.mark.parametrize("task", ["lakm", "mix-mrc-lakm"])
@pytest.mark.parametrize("own", [False, True])
def test_twenty_steps_on_the_corpus_that_ships(
    task: str, own: bool, lists: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    """With mined phrases and with lists: both losses fall, and a plain span model is saved."""
    from transformers import AutoModelForQuestionAnswering

    more = {"corpus.limit": None, "training.warmup_ratio": 0.0, "training.learning_rate": 5e-3}
    how = settings(tiny_model_folder, tmp_path, **(TWENTY | more))
    lines, weights = trained(how, task, {"phrases": str(lists)} if own else {})
    assert [line["step"] for line in lines] == [*range(1, 21)]
    for line in lines:
        assert line["loss"] == pytest.approx(line["nll"] + line["mlm"], rel=1e-5)
        assert line["tokens_per_second"] > 0 < line["peak_share"]
    first, last = (np.mean([line["mlm"] for line in part]) for part in (lines[:5], lines[-5:]))
    assert last < first - 0.3
    assert abs(lines[0]["mlm"] - np.log(4000)) < 0.3  # a new head guesses among 4000 pieces
    assert np.mean([line["nll"] for line in lines[-5:]]) < lines[0]["nll"]

    run = tmp_path / "runs" / task
    model, report = AutoModelForQuestionAnswering.from_pretrained(run / "model", output_loading_info=True)
    assert not any(report.values())
    assert model.config.architectures == ["BertForQuestionAnswering"]
    assert model.state_dict().keys() == weights.keys()
    assert {path.name for path in (run / "model").iterdir()} == {
        *("MANIFEST.json", "README.md", "config.json", "model.safetensors"),
        *("tokenizer.json", "tokenizer_config.json"),
    }


def test_the_source_alone_or_all_pairs(lists: Path, how: Settings) -> None:
    """LAKM asks in the source only, whatever is masked: without a weight it is the baseline."""
    project = Project(changed(how, "training", max_steps=3))
    with mock.patch.object(meter, "matmul_peak", lambda *_: 1e10):
        for task, plain in (("lakm", "baseline"), ("mix-mrc-lakm", "mix-mrc")):
            masked = train(
                project,
                Components(task, {"phrases": str(lists)}, criterion_options={"weight": 0.0}),
            )
            for line, other in zip(
                lines_of(masked), lines_of(train(project, Components(plain))), strict=True
            ):
                assert line["nll"] == pytest.approx(other["nll"], abs=1e-5)
                assert line["loss"] == pytest.approx(line["nll"])
                assert line["mlm"] > 1


def test_the_weight_decides(lists: Path, how: Settings) -> None:
    with mock.patch.object(meter, "matmul_peak", lambda *_: 1e10):
        run = train(
            Project(how), Components("lakm", {"phrases": str(lists)}, criterion_options={"weight": 0.5})
        )
    for line in lines_of(run):
        assert line["loss"] == pytest.approx(line["nll"] + 0.5 * line["mlm"], rel=1e-5)


@pytest.mark.parametrize(
    "sizes",
    [
        {"training.batch_size": 8},
        {"training.batch_size": 5, "training.micro_batch_size": 1},
        {"training.batch_size": 4, "runtime.zero_stage": 3},
    ],
)
def test_two_ranks_do_what_one_does(
    two_ranks: Ranks, lists: Path, tiny_model_folder: Path, tmp_path: Path, sizes: dict[str, Any]
) -> None:
    runs = []
    for name, start in (("alone", lambda *job: [job[0](*job[1:])]), ("together", two_ranks)):
        where = tmp_path / name
        where.mkdir()
        how = settings(tiny_model_folder, where, **TWENTY, **sizes)
        runs.append(start(trained, how, "mix-mrc-lakm", {"phrases": str(lists)})[0])
    (alone, weights), (together, others) = runs
    assert len(alone) == 20
    for one, other in zip(alone, together, strict=True):
        for part in ("loss", "nll", "mlm", "epoch", "learning_rate"):
            assert one[part] == pytest.approx(other[part], abs=1e-4)
    assert furthest(weights, others) < 2e-4


def test_zero_three_with_every_weight_cut(lists: Path, tiny_model_folder: Path, tmp_path: Path) -> None:
    """No weight is small enough to be kept whole, the tied word vectors least of all."""
    own = tmp_path / "deepspeed.json"
    own.write_text(json.dumps({"zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0}}))
    runs = []
    for name, over in (("zero", {"runtime.zero_stage": 0}), ("three", {"runtime.deepspeed": str(own)})):
        how = settings(tiny_model_folder, tmp_path / name, **TWENTY, **over)
        (tmp_path / name).mkdir(exist_ok=True)
        runs.append(trained(how, "lakm", {"phrases": str(lists)}))
    (zero, weights), (three, others) = runs
    for part in ("nll", "mlm"):
        assert [line[part] for line in zero] == pytest.approx([line[part] for line in three], abs=5e-4)
    assert furthest(weights, others) < 5e-4


def test_frozen_word_vectors_stay(lists: Path, how: Settings, tiny_model_folder: Path) -> None:
    """Though they are the output embeddings, too."""
    from lbkd.models.load import load_span_model

    frozen = changed(how, "training", freeze_embeddings=True)
    _, weights = trained(frozen, "lakm", {"phrases": str(lists)})
    before = load_span_model(str(tiny_model_folder)).state_dict()
    name = "bert.embeddings.word_embeddings.weight"
    assert {key for key in before if torch.equal(weights[key], before[key])} == {name}


def test_the_head_for_masked_tokens_learns_at_the_encoders_rate(lists: Path, how: Settings) -> None:
    from lbkd.models.load import load_span_model
    from lbkd.models.masked import MaskedSpanModel

    project = Project(how)
    model = MaskedSpanModel(load_span_model(project.encoder), stream(project, lists).model)
    training = how.training.model_copy(update={"learning_rate": 1e-4, "head_lr_multiplier": 20.0})
    rates = {id(p): group["lr"] for group in parameter_groups(model, training) for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == pytest.approx(2e-3 if "qa_outputs" in name else 1e-4), name
    assert len(rates) == len([*model.parameters()])


@pytest.fixture
def project(how: Settings) -> Project:
    return Project(how)


def test_the_order_is_that_of_no_plan_and_covers_all(project: Project, lists: Path) -> None:
    masked = stream(project, lists)
    features = project.train_features
    assert np.array_equal(masked.ids, features.features(PAIRS))
    size = -(-len(masked.ids) // 5)
    batches = [*itertools.islice(masked.batches(5), 2 * size)]
    for epoch in (batches[:size], batches[size:]):
        assert np.array_equal(np.sort(np.concatenate(epoch)), masked.ids)
    assert not all(map(np.array_equal, batches[:size], batches[size:]))
    again = itertools.islice(stream(project, lists).batches(5), 2 * size)
    assert all(map(np.array_equal, batches, again))


@pytest.mark.parametrize(("world", "parts"), [(2, 1), (1, 3), (3, 2), (7, 1)])
def test_shares_are_the_whole(project: Project, lists: Path, world: int, parts: int) -> None:
    masked = stream(project, lists)
    whole = [[*step][0] for step in itertools.islice(masked.steps(5, (0, 1, 1)), 4)]
    cut = [masked.steps(5, (rank, world, parts)) for rank in range(world)]
    for one in whole:
        shares = [share for rank in cut for share in next(rank)]
        assert len(shares) == world * parts
        assert one.weight == 1
        assert sum(share.weight for share in shares) == pytest.approx(1)
        mine = {int(n) for n in one.ids}
        assert sorted(int(n) for share in shares for n in share.ids) == sorted(mine)
        rows = {int(n): row[m].tolist() for n, row, m in zip(one.ids, *shown(one), strict=True)}
        for share in shares:
            assert (len(share.ids) == 0) == (share.weight == 0)
            for n, row, mask in zip(share.ids, *shown(share), strict=False):
                assert row[mask].tolist() == rows[int(n)]


def shown(share: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return share.batch.batch.input_ids, share.batch.batch.mask


def test_mined_phrases_are_masked(project: Project) -> None:
    whole = Project(changed(project.settings, "corpus", limit=None))
    masked = stream(whole, None)
    assert 30 < len(masked.ids) < len(whole.train_features.features(PAIRS))
    batch = masked.masker.collate(masked.ids, 1)
    text = whole.tokenizer.decode(batch.labels)
    assert "carbon dioxide" in text
    assert "buenos aires" in text


def test_the_lists_are_an_ingredient(lists: Path, how: Settings, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for path in lists.iterdir():
        (own / path.name).write_bytes(path.read_bytes())
    short = changed(how, "training", max_steps=1)

    def time() -> int:
        return (
            (train(Project(short), Components("lakm", {"phrases": str(own)})) / "run.json").stat().st_mtime_ns
        )

    first = time()
    about = read_json(tmp_path / "runs" / "lakm" / "run.json")
    assert len(about["provenance"]["phrases"]) == 16
    (own / "en.txt").write_text("\n" + (own / "en.txt").read_text(encoding="utf-8"), encoding="utf-8")
    assert time() == first  # the same phrases
    own = own.rename(tmp_path / "elsewhere")
    assert time() == first
    (own / "en.txt").write_text((own / "en.txt").read_text(encoding="utf-8") + "one more\n", encoding="utf-8")
    assert time() > first


@pytest.mark.parametrize(
    ("task", "options", "criterion", "message"),
    [
        ("lakm", {}, "nll", "task 'lakm' masks phrases, and criterion 'nll' .* use criterion 'mlm'"),
        ("mix-mrc", {}, "mlm", "criterion 'mlm' learns .* task 'mix-mrc' masks none; use task 'lakm' or"),
        ("lakm", {"phrases": "nowhere"}, "mlm", r"nowhere/en.txt: no readable list .* `lbkd data phrases"),
        ("lakm", {"rate": 2}, "mlm", "task.lakm: rate = 2.0: must be"),
        ("lakm", {"lang": "es"}, "mlm", "no option 'task.lakm.lang'"),
    ],
)
def test_what_does_not_fit(
    project: Project, task: str, options: dict[str, Any], criterion: str, message: str
) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        train(project, Components(task, options, criterion))
    assert not list((project.settings.workspace / "runs").glob("*"))


def test_a_run_of_everything_refuses_it_first(project: Project) -> None:
    with pytest.raises(ConfigError, match="criterion 'mlm' learns from masked tokens, and task 'distill'"):
        run_all(project, Components.from_settings(project.settings, "distill", criterion="mlm"))
    assert not (project.settings.workspace / "runs").exists()


def test_phrases_that_no_passage_holds(project: Project, tmp_path: Path) -> None:
    for language in ("en", "es"):
        (tmp_path / f"{language}.txt").write_text("nowhere to be found\n")
    message = r"No window holds a phrase \(phrases: en 1, es 1\).* Give lists .* with --phrases"
    with pytest.raises(LbkdError, match=message):
        train(project, Components("lakm", {"phrases": str(tmp_path)}))


def test_nothing_is_masked_by_the_others(project: Project) -> None:
    assert (
        masked_stream(
            project, masking_of(project.settings, "baseline", tasks.registry.create("baseline"), "nll")
        )
        is None
    )
