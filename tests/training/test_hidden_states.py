"""Students that learn from their teachers' last hidden states."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpointed import STEPS, check_same_run, go
from finished_runs import QUICK, project
from ranks import Ranks, furthest, settings, trained
from safetensors.torch import load_file
from test_no_waiting import watched_steps

from lbkd import criterions
from lbkd.errors import ConfigError
from lbkd.features.batches import collate
from lbkd.models.heads import new_span_model
from lbkd.models.load import load_config, load_span_model, load_tokenizer
from lbkd.models.span import HiddenSpanModel, hidden_logits, span_logits
from lbkd.models.trimming.trimmed import trim_to
from lbkd.planning.jobs import job_of
from lbkd.project import Project
from lbkd.teachers.hidden import HiddenTeachers
from lbkd.training.check import checked_run
from lbkd.training.checkpoint_run import checkpoint_run
from lbkd.training.run import Components, Run
from lbkd.training.steps import train_run
from lbkd.training.teachers import hidden_teachers

HIDDEN = {"criterion.combined.kd": "hidden"}
Reader = Callable[..., Path]


@pytest.fixture
def reader(tiny_model_folder: Path, tmp_path: Path) -> Reader:
    """Makes random readers of the student's tokens, of any width."""

    def made(name: str, **sizes: int) -> Path:
        config = load_config(str(tiny_model_folder))
        config.update(sizes)
        with torch.random.fork_rng():
            torch.manual_seed(len(name))
            new_span_model(config).save_pretrained(tmp_path / name)
        load_tokenizer(str(tiny_model_folder)).save_pretrained(tmp_path / name)
        return tmp_path / name

    return made


def taught_by(*teachers: Path | str) -> dict[str, Any]:
    names = [f"{name}={place}" for name, place in zip(("en", "es"), teachers, strict=False)]
    return {**HIDDEN, "task.distill.teachers": names}


def components(where: Project, **over: Any) -> Components:
    return Components.from_settings(where.settings, "distill", **over)


def beside(run: Run) -> HiddenTeachers | None:
    """The run's teachers, as a training has them."""
    teachers = [each.as_teacher() for each in run.sources().values()]
    return hidden_teachers(teachers, [each.same_windows() for each in teachers])


def test_states_are_those_that_the_head_reads(tiny_model_folder: Path, workspace: Path) -> None:
    """And the logits are as ever; a teacher of another width gets them through its own layer."""
    where = Project(settings(tiny_model_folder, workspace))
    features, model = where.train_features, load_span_model(where.encoder).eval()
    batch = collate(features, features.features([("en", "en")])[:3])
    with torch.no_grad():
        logits, states = hidden_logits(network := HiddenSpanModel(model, [32, 8, 32]), batch)
        expected = span_logits(model, batch)
    assert all(map(torch.equal, logits, expected))
    heads = model.qa_outputs(states[0]).masked_fill(~batch.mask[:, :, None], -torch.inf)
    torch.testing.assert_close(torch.stack([*logits], -1), heads)
    assert torch.equal(states[0], states[2])
    torch.testing.assert_close(states[1], network.projections[1](states[0]))


@pytest.mark.parametrize("stage", [2, 3])
def test_two_ranks_do_what_one_does(
    two_ranks: Ranks, tiny_model_folder: Path, workspace: Path, tmp_path: Path, stage: int
) -> None:
    """In one piece, or in micro-batches of one window."""
    steps = {"training.max_steps": 6, "training.adam_eps": 1e-5, "training.batch_size": 5}
    how = settings(tiny_model_folder, workspace, **steps)
    loss = criterions.registry.create("combined", {"kd": "hidden"})
    alone = trained(how, tmp_path / "alone", "impurity", loss)
    pieces = {"training.micro_batch_size": 1, "runtime.zero_stage": stage}
    how = settings(tiny_model_folder, workspace, **steps, **pieces)
    first, _ = two_ranks(trained, how, tmp_path / "together", "impurity", loss)
    assert first.losses == pytest.approx(alone.losses, abs=1e-4)
    assert furthest(first.weights, alone.weights) < 1e-4
    assert [line["kd"] for line in first.lines] == pytest.approx(
        [line["kd"] for line in alone.lines], abs=1e-4
    )
    assert alone.lines[-1]["kd"] < alone.lines[0]["kd"] - 0.1
    assert not any("projection" in name for name in alone.weights)


def test_a_killed_run_goes_on_to_the_same_weights(
    tiny_model_folder: Path, reader: Reader, tmp_path: Path
) -> None:
    """With a layer that is trained beside the student, and is no part of it."""
    teachers = taught_by(reader("wide"), reader("narrow", hidden_size=16))
    over = STEPS | QUICK | teachers | {"training.max_steps": 4}
    how = settings(tiny_model_folder, tmp_path / "work", **over)
    go(how, "distill")
    name = "distill.combined.kd=hidden.impurity.en=wide+es=narrow"
    never = (tmp_path / "work" / "runs" / name).rename(tmp_path / "never")
    go(how, "distill", dies_after=2)
    half = checkpoint_run(Project(how), name, 2)
    assert (
        load_file(half / "model" / "model.safetensors").keys()
        == load_file(never / "model" / "model.safetensors").keys()
    )
    assert any("going on after step 2 of 4" in note for note in go(how, "distill"))
    check_same_run(never.parent / "work" / "runs" / name, never)


def test_the_student_comes_nearer_to_its_teachers(tiny_model_folder: Path, tmp_path: Path) -> None:
    """The branches of the workspace, which are trained first."""
    over = {**HIDDEN, "training.max_steps": 12, "training.learning_rate": 3e-3}
    where, notes = project(tiny_model_folder, tmp_path / "work", **over)
    run = checked_run(where, components(where))
    folder = train_run(run)
    assert {"branch-mrc.en", "branch-mrc.es"} <= notes.worked
    assert folder.name == "distill.combined.kd=hidden.impurity"
    lines = [line for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert all('"kd_to_nll"' in line for line in lines)
    assert job_of(run, at_hand=True).hidden
    features = where.train_features
    batch = collate(features, features.features(run.pairs))
    teachers = beside(run)
    assert teachers is not None
    middle = torch.stack(teachers.states(batch, teachers.read(batch))).mean(0)

    def far(model: str) -> float:
        with torch.no_grad():
            _, [states] = hidden_logits(HiddenSpanModel(load_span_model(model).eval(), [32]), batch)
        return float((states - middle)[batch.mask].square().mean())

    assert far(str(folder / "model")) < 0.9 * far(where.encoder)


def test_a_trimmed_vocabulary_is_read_by_other_ids(
    tiny_model_folder: Path, reader: Reader, builtin_texts: tuple[str, ...], tmp_path: Path
) -> None:
    """Of the student or of the teacher: the states are those of the whole vocabularies, bit for bit."""
    wide = reader("wide")
    for whole, name in ((tiny_model_folder, "student"), (wide, "teacher")):
        trim_to(str(whole), builtin_texts, 100, tmp_path / name, lambda *_: None)
    found = []
    for student, teacher in (
        (tiny_model_folder, wide),
        (tmp_path / "student", wide),
        (tiny_model_folder, tmp_path / "teacher"),
    ):
        where, _ = project(student, tmp_path / "work", **taught_by(teacher))
        run = checked_run(where, components(where))
        teachers = beside(run)
        assert teachers is not None
        batch = collate(where.train_features, where.train_features.features(run.pairs)[:6])
        [own] = teachers.read(batch)
        assert (own is None) == (student == tiny_model_folder and teacher == wide)
        found.append(teachers.states(batch, [own])[0][batch.mask])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_teachers_of_other_tokens_are_refused(
    tiny_model_folder: Path, tiny_unigram_folder: Path, reader: Reader, tmp_path: Path
) -> None:
    """Before anything is trained or scored."""
    where, notes = project(tiny_unigram_folder, tmp_path / "work", **taught_by(tiny_model_folder))
    with pytest.raises(
        ConfigError, match="teacher 'en=tiny' reads other tokens than the student, and hidden"
    ):
        checked_run(where, components(where))
    assert not notes.worked
    short = reader("short", max_position_embeddings=64)
    where, notes = project(tiny_model_folder, tmp_path / "work", **taught_by(short))
    with pytest.raises(ConfigError, match=r"reads at most 64 tokens, .*Set model.max_length=64"):
        checked_run(where, components(where))
    assert not notes.worked


def test_alone_it_needs_a_head(tiny_model_folder: Path, tmp_path: Path) -> None:
    encoder = shutil.copytree(tiny_model_folder, tmp_path / "encoder")
    config = (encoder / "config.json").read_text().replace("BertForQuestionAnswering", "BertModel")
    (encoder / "config.json").write_text(config)
    for name, options in (("hidden", {}), ("combined", {"kd": "hidden", "nll_weight": 0.0})):
        told = {"criterion_options": options, "criterion": name}
        where, _ = project(encoder, tmp_path / "new")
        with pytest.raises(ConfigError, match=f"criterion '{name}' teaches the encoder, and not the head"):
            checked_run(where, Components("distill", **told))
        where, _ = project(tiny_model_folder, tmp_path / "there")
        checked_run(where, Components("distill", **told))


def test_a_step_waits_for_nothing(tiny_model_folder: Path, workspace: Path, tmp_path: Path) -> None:
    how = settings(tiny_model_folder, workspace, **{"training.log_every": 2, "training.max_steps": 2})
    loss = criterions.registry.create("combined", {"kd": "hidden"})
    with watched_steps() as watched:
        trained(how, tmp_path, "impurity", loss)
    assert len(watched) == 2
