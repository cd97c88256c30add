"""The steps from texts to a student.

Each writes down what its result depends on; while that is unchanged, it is not done again.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import lbkd
from lbkd import criterions, tasks, weighting
from lbkd.errors import ConfigError
from lbkd.features.tokens import Ints
from lbkd.models.load import load_span_model
from lbkd.teachers.score import score
from lbkd.teachers.store import LogitsStore, StoredLogits
from lbkd.training import engine
from lbkd.training.evaluate import evaluate
from lbkd.training.loop import seed_everything, train_loop
from lbkd.training.masking import masked_stream, masking_ingredients, masking_of, without_place
from lbkd.training.plan import Plan
from lbkd.training.project import Project, window_settings
from lbkd.training.selection import selection_exam, selector
from lbkd.training.taught import Teachers
from lbkd.workspace import differences, file_hash, folder_hash, read_json, write_json

_INDIFFERENT = {"log_every", "micro_batch_size"}
"""Training settings that change no result."""


def train(
    project: Project,
    task: str,
    options: dict[str, Any] | None = None,
    criterion: str | None = None,
    weigh: str = "impurity",
    criterion_options: dict[str, Any] | None = None,
) -> Path:
    """Train a model on a task; its run folder.

    Args:
        project: texts and encoder.
        task: name of the task.
        options: of the task, instead of those in the settings.
        criterion: name of the criterion; by default the task's.
        weigh: name of the weighting, for tasks with teachers.
        criterion_options: of the criterion, instead of those in the settings.

    Raises:
        ConfigError: components or options that do not fit, before anything is computed.
    """
    settings = project.settings
    options = settings.task if options is None else options
    chosen = tasks.registry.create(task, options)
    name = criterion or chosen.criterion
    how = settings.criterion if criterion_options is None else criterion_options
    loss = criterions.registry.create(name, how)
    own = chosen.teachers(settings.corpus.languages)
    if loss.needs_teachers and not own:
        raise ConfigError(
            f"criterion {name!r} needs teachers, and task {task!r} has none; use task 'distill'."
        )
    pairs = chosen.pairs(settings.corpus.languages, settings.corpus.source)
    masking = masking_of(settings, task, chosen, name)
    ingredients: dict[str, Any] = {
        "task": [tasks.registry.origin(task), task, without_place(masking, options)],
        "criterion": [criterions.registry.origin(name), name, how],
    }
    judged = selection_exam(project, settings.training.select_on) if settings.training.select_on else None
    if judged is not None:
        ingredients["selection"] = [
            judged.corpus.fingerprint(),
            judged.metric,
            settings.evaluation.max_answer,
        ]
    strategy = weighting.registry.create(weigh, settings.weighting) if own else None
    if strategy is not None:
        strategy.check([who.name for who in own])
        ingredients["weighting"] = [weighting.registry.origin(weigh), weigh, settings.weighting]
        for teacher, teacher_run in _trained(project, own).items():
            ingredients[f"teacher {teacher}"] = file_hash(_weights(teacher_run))
    ingredients |= masking_ingredients(masking) | _common_ingredients(project)
    run = run_folder(project, task, chosen, name, weigh)

    found = read_json(run / "run.json")
    changed = engine.agree(None if found is None else differences(found["ingredients"], ingredients))
    if changed == "":
        project.listener.note(f"{run.name}: done before, still valid ({run})")
        return run
    if changed:
        project.listener.note(f"{run.name}: trained again, since {changed} changed")
    teachers = None
    if strategy is not None:
        windows = Plan(project.train_features, pairs, settings).windows
        teachers = Teachers({who.name: cache_logits(project, who, windows) for who in own}, strategy)
    seed_everything(settings.seed)
    model = load_span_model(project.encoder, settings.model.trust_remote_code, settings.model.dropout)
    masked = masked_stream(project, masking)
    select = selector(project, judged, model) if judged is not None else None
    began = time.time()
    with project.replacing(run) as folder:
        weights = train_loop(
            model,
            project.train_features,
            pairs,
            loss,
            teachers,
            settings,
            folder,
            run.name,
            project.listener,
            masked,
            select,
        )
        if project.rank == 0:
            torch.nn.Module.to(model, "cpu")
            model.save_pretrained(folder / "model", state_dict=weights)
            project.tokenizer.save_pretrained(folder / "model")
            about = {
                "name": run.name,
                "task": task,
                "seconds": round(time.time() - began, 1),
                "seed": settings.seed,
                "ranks": project.world,
                "versions": versions(),
                "settings": settings.model_dump(mode="json"),
                "ingredients": ingredients,
            }
            write_json(folder / "run.json", about)
    return run


def run_folder(
    project: Project, name: str, task: tasks.Task, criterion: str = "combined", weigh: str = "impurity"
) -> Path:
    """Where the run of a task lies; criterion and weighting are in its name if it has teachers."""
    taught = [criterion, weigh] if task.teachers(project.settings.corpus.languages) else []
    return project.run_folder(name, *taught, task.label)


def cache_logits(project: Project, who: tasks.Teacher, windows: Ints | None = None) -> StoredLogits:
    """What one teacher says of the windows that the student will see; computed where the store lacks it.

    Args:
        project: texts and encoder.
        who: the teacher; trained first if the workspace lacks it.
        windows: (N,) feature ids, ascending; by default those that a student of all pairs learns from: all,
            unless `max_steps` or `pairs_per_passage` leaves some out.
    """
    features = project.train_features
    if windows is None:
        pairs = [(k, j) for k in features.languages for j in features.languages]
        windows = Plan(features, pairs, project.settings).windows
    run = _trained(project, [who])[who.name]
    folder = project.settings.workspace / "logits" / run.name
    store = LogitsStore(folder, windows, features.lengths(windows))
    ingredients = {
        "corpus": project.train_corpus.fingerprint(),
        "tokenizer": project.tokenizer_hash,
        "window settings": list(window_settings(project.settings.model)),
        "teacher weights": file_hash(_weights(run)),
    }
    if project.rank == 0:
        changed = store.prepare(ingredients)
        if changed:
            project.listener.note(f"{folder}: computed again, since {changed} changed")
    engine.agree(None)
    finished = engine.agree(len(store.finished()))
    if finished < store.blocks:
        there = f"{finished} of {store.blocks} blocks are there already"
        project.listener.note(
            f"{run.name}: scoring {len(windows)} windows" + (f" ({there})" if finished else "")
        )
        teacher = load_span_model(str(run / "model"), device=engine.device())
        engine.together(
            lambda: score(
                teacher,
                features,
                store,
                project.settings.evaluation.batch_tokens,
                rank=project.rank,
                world=project.world,
                progress=lambda done, total: project.listener.progress(f"{run.name} scores", done, total, {}),
            )
        )
    return store.open(ingredients)


def run_all(project: Project, criterion: str | None = None, weigh: str = "impurity") -> list[dict[str, Any]]:
    """Everything: baseline, teachers, their logits, student, and the scores of all; see `results.json`.

    The settings' criterion options are the student's: baseline and teachers learn with plain NLL.
    """
    _ = project.test_corpus  # what is wrong with it is told now, not after the training
    student = tasks.registry.create("distill", project.settings.task)
    masking_of(project.settings, "distill", student, criterion or student.criterion)
    teachers = student.teachers(project.settings.corpus.languages)
    weighting.registry.create(weigh, project.settings.weighting).check([who.name for who in teachers])
    models = [train(project, "baseline", {}, criterion_options={})]
    for who in teachers:
        seeded = project.seeded(who.seed)
        models.append(train(seeded, who.task, dict(who.options), criterion_options={}))
    models.append(train(project, "distill", None, criterion, weigh))
    rows = [row for model in models for row in evaluate(project, model)]
    if project.rank == 0:
        write_json(project.settings.workspace / "results.json", rows)
    return rows


def versions() -> dict[str, str]:
    """Of what decides the numbers."""
    from importlib.metadata import version

    names = ("torch", "transformers", "deepspeed", "tokenizers", "numpy")
    return {"lbkd": lbkd.__version__, **{name: version(name) for name in names}}


def _trained(project: Project, teachers: Sequence[tasks.Teacher]) -> dict[str, Path]:
    """Teacher -> its run; trains those that the workspace lacks.

    A teacher that is there is taken as it is, whatever settings it was trained with.
    """
    runs = {
        who.name: run_folder(project.seeded(who.seed), who.task, tasks.registry.create(who.task, who.options))
        for who in teachers
    }
    found = engine.agree({name: read_json(run / "run.json") for name, run in runs.items()})
    missing = [who for who in teachers if found[who.name] is None]
    if missing:
        names = ", ".join(runs[who.name].name for who in missing)
        project.listener.note(f"{project.settings.workspace} lacks the teachers {names}: training them first")
    for who in teachers:
        about = found[who.name]
        if about is None:
            train(project.seeded(who.seed), who.task, dict(who.options), criterion_options={})
        elif about["ingredients"]["tokenizer"] != project.tokenizer_hash:
            raise ConfigError(
                f"{runs[who.name]}: this teacher reads another tokenizer than the student {project.encoder}, "
                "so that their logits cannot be compared. Train it again with the student's --model, or use "
                "another --workspace."
            )
    return runs


def _common_ingredients(project: Project) -> dict[str, Any]:
    """What the weights of every run depend on."""
    settings, encoder = project.settings, Path(project.encoder)
    training = settings.training.model_dump(mode="json", exclude=_INDIFFERENT)
    deepspeed = settings.runtime.deepspeed
    return {
        "corpus": project.train_corpus.fingerprint(),
        "encoder": folder_hash(encoder) if encoder.is_dir() else project.encoder,
        "tokenizer": project.tokenizer_hash,
        "seed": settings.seed,
        **{f"training.{name}": value for name, value in training.items()},
        **{f"model.{name}": value for name, value in settings.model.model_dump(mode="json").items()},
        "precision": str(engine.precision(settings.runtime.precision)),
        "deepspeed": file_hash(deepspeed) if deepspeed else None,
    }


def _weights(run: Path) -> Path:
    return run / "model" / "model.safetensors"
