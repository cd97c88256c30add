"""The texts that an evaluation asked about: run folders hold answers, and the corpus passages and golds."""

from collections.abc import Iterator
from pathlib import Path

from lbkd.config import Settings
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.evaluation.benchmarks import BENCHMARKS
from lbkd.reporting.runs import Evaluation, ReportedRun


class Texts:
    """Finds the texts of evaluations, and reads each file once.

    Args:
        settings: of the command; where they name a corpus, what they say of it goes over what a run's say.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._read: dict[tuple[str, ...], ParallelCorpus] = {}
        self._found: dict[str, ParallelCorpus] = {}

    def of(self, run: ReportedRun, evaluation: Evaluation) -> ParallelCorpus | str:
        """The texts that were asked about; where they are not at hand, why, and what to do.

        Raises:
            DataError: a faulty file.
        """
        if evaluation.corpus in self._found:
            return self._found[evaluation.corpus]
        asked = {id for answers in evaluation.answers.values() for id in answers}
        reason = ""
        for paths, source, native in self._candidates(run, evaluation):
            if missing := [path for path in paths.values() if not path.exists()]:
                reason = reason or f"there is no {missing[0]}"
                continue
            key = source, *map(str, paths.values())
            if key not in self._read:
                self._read[key] = ParallelCorpus.read(paths, source, native=native)
            whole = self._read[key]
            for corpus in (whole, whole.about(asked)):
                if corpus.fingerprint() == evaluation.corpus:
                    self._found[evaluation.corpus] = corpus
                    return corpus
            reason = reason or f"{next(iter(paths.values()))} or another file is not what was scored"
        return f"{reason}. --corpus, or --set corpus.benchmarks=FOLDER, names the folder of these texts."

    def _candidates(
        self, run: ReportedRun, evaluation: Evaluation
    ) -> Iterator[tuple[dict[str, Path], str, tuple[str, ...]]]:
        """Language -> file, source language, and languages with questions of their own, of possible texts."""
        chosen, named = [self.settings], self.settings.corpus
        if run.run is not None:
            chosen = [own := run.run.settings]
            if "dir" in named.model_fields_set:
                over = {name: getattr(named, name) for name in named.model_fields_set}
                moved = own.model_copy(update={"corpus": own.corpus.model_copy(update=over)})
                chosen = [moved, own]
        languages = evaluation.languages
        benchmark, _, split = evaluation.name.partition(".")
        if benchmark in BENCHMARKS:
            for folder in dict.fromkeys(each.corpus.benchmarks for each in (*chosen, self.settings)):
                paths = {
                    name: BENCHMARKS[benchmark].path(folder, split or "test", name, name)
                    for name in languages
                }
                yield paths, "en" if "en" in paths else languages[0], ()
            return
        for settings in chosen:
            paths = {name: settings.path(evaluation.name, name) for name in languages}
            source = settings.corpus.source
            yield paths, source if source in paths else languages[0], tuple(settings.corpus.native)
