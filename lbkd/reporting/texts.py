"""The texts that an evaluation asked about: run folders hold answers, and the corpus passages and golds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lbkd.config import CorpusSettings, Settings
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.evaluation.benchmarks import BENCHMARKS
from lbkd.reporting.runs import Evaluation, ReportedRun


class Texts:
    """Finds the texts of evaluations, and reads each corpus once.

    Args:
        settings: of the command; where they name a corpus, what they say of it goes over what a run's say.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._read: dict[Any, tuple[ParallelCorpus, str]] = {}

    def of(self, run: ReportedRun, evaluation: Evaluation) -> ParallelCorpus | str:
        """The texts that were asked about; where they are not at hand, why, and what to do.

        Raises:
            DataError: a faulty file.
        """
        reason = ""
        for paths, source, how in self._candidates(run, evaluation):
            if missing := [path for path in paths.values() if not path.exists()]:
                reason = reason or f"there is no {missing[0]}"
                continue
            key = tuple(paths.values()), how.limit, how.native
            if key not in self._read:
                corpus = ParallelCorpus.read(paths, source, how.limit, native=how.native)
                self._read[key] = corpus, corpus.fingerprint()
            corpus, fingerprint = self._read[key]
            if fingerprint == evaluation.corpus:
                return corpus
            reason = reason or f"{next(iter(paths.values()))} or another file is not what was scored"
        return f"{reason}. --corpus, or --set corpus.benchmarks=FOLDER, names the folder of these texts."

    def _candidates(
        self, run: ReportedRun, evaluation: Evaluation
    ) -> Iterator[tuple[dict[str, Path], str, CorpusSettings]]:
        """Language -> file, source language, and how to read them: where the texts may be."""
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
                yield paths, "en" if "en" in paths else languages[0], CorpusSettings()
            return
        for settings in chosen:
            paths = {name: settings.path(evaluation.name, name) for name in languages}
            source = settings.corpus.source
            yield paths, source if source in paths else languages[0], settings.corpus
