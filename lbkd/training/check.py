"""Everything that settings, files and a made-up batch tell of runs, checked before the first step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lbkd import criterions, trackers, weighting
from lbkd.config import Settings
from lbkd.contracts.tasks import check_label, check_teachers_are_used, checked_pairs, checked_teachers
from lbkd.contracts.trackers import try_tracker
from lbkd.contracts.translators import try_translator
from lbkd.contracts.trial import teaches_head, try_criterion, try_weighting
from lbkd.corpus.overlap import SharedQuestion, shared_questions
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.criterions import Criterion
from lbkd.distributed import collectives
from lbkd.engine.deepspeed_config import deepspeed_config
from lbkd.engine.deepspeed_file import DeepSpeedFile
from lbkd.engine.division import Division
from lbkd.engine.engine import check_config
from lbkd.errors import ConfigError, DataError
from lbkd.evaluation.evaluation_set import EvaluationSet, own_test_set
from lbkd.evaluation.normalize import tokenizer
from lbkd.features.unread import unread
from lbkd.models.load import has_span_head, load_config
from lbkd.models.run_folder import FinishedRun, read_run
from lbkd.project import Project
from lbkd.registry import Registry
from lbkd.registry.entries import check_name
from lbkd.trackers import Tracker
from lbkd.tracking.telling import chosen
from lbkd.training.masking import masking_of
from lbkd.training.run import Components, Run
from lbkd.translation import Translator
from lbkd.weighting import Weighting


def checked_runs(project: Project, student: Components) -> list[Run]:
    """The runs of `lbkd run` in their order, once all that settings and files tell is checked.

    Raises:
        ConfigError: components or options that do not fit, a finished run that would be replaced, or see
            `check_run`.
        DataError: no test file; see `check_run` and `read_run`.
        PluginError: see `check_run`.
    """
    run = Run.of(project, student)
    runs = [Run.of(project, Components("baseline")), *run.teacher_runs().values(), run]
    tested = own_test_set(project)
    check_run(project, tested, runs)
    for reader in run.readers.values():
        reader.check_reads(tested.corpus)
        check_model(project, Path(reader.place), tested, allow_overlap=project.settings.corpus.allow_overlap)
    for each in runs:
        each.check_replaces_nothing()
    return runs


def checked_run(project: Project, components: Components, name: str | None = None) -> Run:
    """The run of `lbkd train`, once all that settings and files tell is checked.

    Args:
        project: corpus and settings.
        components: what is to be trained.
        name: name of the run's folder; by default it tells the components.

    Errors are those of `checked_runs`, and a ConfigError for a name that no folder can have; a corpus without
    test files is no error here.
    """
    if name is not None:
        check_name(name, "run")
    run = Run.of(project, components, name)
    if run.folder in {teacher.folder for teacher in run.teacher_runs().values()}:
        raise ConfigError(f"--name {name}: one of the run's own teachers has this folder; take another name.")
    runs = [*run.teacher_runs().values(), run]
    check_run(project, None, runs)
    run.check_replaces_nothing()
    return run


def check_components(project: Project, components: Components) -> None:
    """Refuse components and options that do not fit, for a corpus whose files are not there.

    Raises:
        ConfigError: see `Run.of`.
    """
    training = project.settings.training.model_copy(update={"select_on": None})
    Run.of(project.altered(training=training), components)


def check_run(
    project: Project, evaluation_set: EvaluationSet | None = None, runs: Sequence[Run] = ()
) -> None:
    """Refuse components that fail on a made-up batch, and an evaluation that would fail or mislead.

    What of the texts is not read is told.

    Args:
        project: corpus and settings.
        evaluation_set: by default the corpus's own test split, where there are test files.
        runs: what is to be trained, teachers included.

    Raises:
        ConfigError: the metric does not know a language; the test questions are trained on; see
            `check_deepspeed`.
        DataError: a faulty test file; the metric cannot score a question.
        PluginError: a criterion or a weighting that is not what its kind requires.

    Finished readers that teach are refused as `OutsideReader.check` says.
    """
    check_deepspeed(project)
    try_components(runs)
    _check_heads(runs)
    collectives.raise_on_all_ranks(lambda: try_trackers(project))
    settings = project.settings
    longest = settings.evaluation.max_answer_tokens
    _check_readers(runs)
    for sentence in unread(project.train_features, project.tokenizer, longest):
        project.listener.note(sentence)
    if evaluation_set is None:
        if not project.has_test:
            return
        evaluation_set = own_test_set(project)
    check_metric(evaluation_set)
    if not settings.corpus.allow_overlap:
        _refuse(shared_questions(project.train_corpus, evaluation_set.corpus), evaluation_set)


def _check_heads(runs: Sequence[Run]) -> None:
    """Refuse a criterion that would leave a new head at random."""
    for run in runs:
        model, name = run.project.settings.model, run.components.criterion
        if not run.criterion.needs_hidden or teaches_head(run.criterion):
            continue
        if has_span_head(load_config(run.project.encoder, model.trust_remote_code)):
            continue
        raise ConfigError(
            f"criterion {name!r} teaches the encoder, and not the head for start and end, which is new in "
            f"{model.name!r}: the student's answers would be random. Learn both with --criterion combined "
            "--set criterion.combined.kd=hidden and an nll_weight above 0, or begin with a finished reader "
            "(--model)."
        )


def _check_readers(runs: Sequence[Run]) -> None:
    """Refuse finished readers that cannot teach, or that one of the runs would replace."""
    readers = {reader.place: reader for run in runs for reader in run.readers.values()}
    for reader in readers.values():
        reader.check()
        if any(run.criterion.needs_hidden for run in runs if reader in run.readers.values()):
            reader.as_teacher().same_windows()
        place = Path(reader.place).resolve()
        for run in runs:
            if run.folder.resolve() in (place, *place.parents):
                raise ConfigError(
                    f"teacher {reader.teacher.name!r} ({reader.teacher.model}): this command trains "
                    f"{run.folder}, and a finished reader is not trained. Name another model."
                )


def check_deepspeed(project: Project) -> None:
    """Check what is to be DeepSpeed's configuration; what has no effect in the user's file is told.

    Raises:
        ConfigError: see `deepspeed_config` and `check_config`.
    """
    settings = project.settings
    division = Division.of(settings.training, project.rank, project.world_size)
    config = deepspeed_config(settings.training, settings.runtime, division)
    if (path := settings.runtime.deepspeed) is not None:
        check_config(config)
        for key, why in DeepSpeedFile.read(path).unused.items():
            project.listener.note(f"--deepspeed {path}: {key} has no effect: {why}")


def try_components(runs: Sequence[Run]) -> None:
    """Try the criterions and weightings of runs on a made-up batch, each once.

    Raises:
        PluginError: see `lbkd.contracts.trial`.
    """
    done = []
    for run in runs:
        given, languages = run.components, run.project.settings.corpus.languages
        criterion = str(given.criterion), given.criterion_options
        teachers = [teacher.name for teacher in run.teachers]
        weigher = given.weighting, given.weighting_options, teachers
        if criterion not in done:
            try_criterion(criterions.registry.create(*criterion))
        if teachers and weigher not in done:
            try_weighting(weighting.registry.create(*weigher[:2]), languages, teachers)
        done += [criterion, weigher]


def try_trackers(project: Project) -> None:
    """Try the trackers that the settings name, on rank 0, on a made-up run.

    Raises:
        ConfigError: a package that is missing, or options that do not fit.
        PluginError: see `try_tracker`.
    """
    for name in () if project.rank else chosen(project.settings):
        try_tracker(trackers.registry.create(name, project.settings.tracker.options(name)))


def check_component(settings: Settings, registry: Registry[Any], name: str) -> dict[str, Any]:
    """Try one component with its options in the settings, on what is made up.

    Returns:
        What it gave, by name, where that is worth showing: pairs and teachers of a task, translations.

    Raises:
        ConfigError: options or languages that do not fit.
        PluginError: the component is not what its kind requires.
    """
    languages, source = settings.corpus.languages, settings.corpus.source
    made = registry.create(name, getattr(settings, registry.section).options(name))
    if isinstance(made, Weighting):
        try_weighting(made, languages, languages)
    elif isinstance(made, Criterion):
        try_criterion(made)
    elif isinstance(made, Translator):
        target = next((language for language in languages if language != source), source)
        return {f"{source} to {target}": try_translator(made, source, target)}
    elif isinstance(made, Tracker):
        try_tracker(made)
    else:
        check_label(made)
        teachers = checked_teachers(made, languages)
        pairs = [" ".join(pair) for pair in checked_pairs(made, languages, source)]
        masking_of(settings, name, made, made.criterion)
        check_teachers_are_used(made, teachers, made.criterion)
        return {"pairs": pairs, "teachers": [teacher.name for teacher in teachers]}
    return {}


def check_metric(evaluation_set: EvaluationSet) -> None:
    """Refuse a metric that cannot score the questions.

    Raises:
        ConfigError: a language that the metric does not know.
        DataError: a question without an answer, for a metric other than `squad-v2`.
    """
    metric = evaluation_set.metric
    for language, data in evaluation_set.corpus.datasets.items():
        tokenizer(metric, language)
        unanswerable = [question.id for question in data.questions if not question.answers]
        if unanswerable and metric != "squad-v2":
            raise DataError(
                f"{data.path}: {len(unanswerable)} questions have no answer, such as {unanswerable[0]!r}: "
                f"metric {metric!r} cannot score them. Set evaluation.metric=squad-v2, or remove them."
            )


def check_model(
    project: Project, folder: Path, evaluation_set: EvaluationSet, *, allow_overlap: bool
) -> None:
    """Refuse to score a finished run on questions that were trained on; a note tells where that is unknown.

    Raises:
        ConfigError: the run was trained on questions of the set.
    """
    check_metric(evaluation_set)
    run = read_run(folder)
    if run is None or allow_overlap:
        return
    _, corpus = located(project, run)
    if corpus is None:
        project.listener.note(
            f"{run.name}: whether it learned from questions of {evaluation_set.name} is not known: its "
            f"training files in {run.settings.corpus.dir} are gone or changed"
        )
        return
    _refuse(shared_questions(corpus, evaluation_set.corpus), evaluation_set)


def located(project: Project, run: FinishedRun) -> tuple[FinishedRun, ParallelCorpus | None]:
    """A run with the folder of its training corpus, its own or the project's; None for one that is gone."""
    own = run.settings.corpus
    for place in dict.fromkeys((own.dir, project.settings.corpus.dir)):
        corpus = own.model_copy(update={"dir": place})
        settings = run.settings.model_copy(update={"corpus": corpus})
        paths = {language: settings.path(corpus.train, language) for language in corpus.languages}
        if all(path.exists() for path in paths.values()):
            read = ParallelCorpus.read(paths, corpus.source, corpus.limit, native=corpus.native)
            if read.fingerprint() == run.provenance["corpus"]:
                return run.model_copy(update={"settings": settings}), read
    return run, None


def _refuse(shared: list[SharedQuestion], evaluation_set: EvaluationSet) -> None:
    if not shared:
        return
    example, total = shared[0], len(evaluation_set.corpus.question_ids)
    raise ConfigError(
        f"{len(shared)} of the {total} test questions ({evaluation_set.name}) are trained on, such as "
        f"{example.text[:80]!r}: {example.test_id!r} in {example.test_file} is {example.train_id!r} in "
        f"{example.train_file}. Name other files or splits (corpus.train, corpus.test); if this is meant, "
        "set corpus.allow_overlap=true."
    )
