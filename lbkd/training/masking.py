"""Windows with masked phrases, which a model learns from beside questions and answers (LAKM)."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from lbkd import criterions, tasks
from lbkd.config import Settings
from lbkd.contracts.fitting import criterions_for, tasks_that_mask
from lbkd.errors import ConfigError, LbkdError
from lbkd.features.batches import Epoch, share
from lbkd.features.masks import MaskedBatch, Masker
from lbkd.features.tokens import Ints
from lbkd.models.load import load_masked_language_model
from lbkd.phrases import Phrases, mine, read_phrases
from lbkd.project import Project
from lbkd.tasks import Masking, Task
from lbkd.workspace import fingerprint

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_OWN_ORDER = 2**31
"""Added to the seed, which is smaller: masked windows come in an order of their own."""


class MaskedShare(NamedTuple):
    """The masked windows that one rank reads in one micro-batch."""

    batch: MaskedBatch
    weight: float
    """Share of the global batch's chosen tokens: with it, means over shares add up to the mean over all."""
    ids: Ints
    """Feature ids of the windows that count; none where the rank has no window of its own."""


@dataclass(frozen=True)
class MaskedStream:
    """Endless global batches of windows with masked phrases, and the head that learns from them."""

    masker: Masker
    ids: Ints
    """Windows that hold a phrase."""
    model: "PreTrainedModel"
    """A masked language model, for its head."""

    def batches(self, size: int) -> Iterator[Ints]:
        """Feature ids of the global batch of every optimizer step: the same for any number of ranks."""
        lengths = self.masker.features.lengths(self.ids)
        for epoch in itertools.count():
            order = Epoch.of(self.ids, lengths, size, self.masker.seed + _OWN_ORDER, epoch)
            yield from (order[n] for n in range(len(order)))

    def steps(self, size: int, division: tuple[int, int, int]) -> Iterator[Iterator[MaskedShare]]:
        """For every optimizer step, the micro-batches of one rank; `division` is a `Division`."""
        for step, ids in enumerate(self.batches(size), start=1):
            yield self._shares(ids, step, division)

    def _shares(self, ids: Ints, step: int, division: tuple[int, int, int]) -> Iterator[MaskedShare]:
        total = self.masker.count(ids, step)
        for own in share(ids, *division):
            batch = self.masker.collate(own if len(own) else ids[:1], step)
            weight = len(batch.labels) / total if len(own) and total else 0.0
            yield MaskedShare(batch, weight, own)


def masking_of(settings: Settings, name: str, task: Task, criterion: str) -> Masking | None:
    """The masking of a task; None for a task that masks nothing.

    Args:
        settings: for the languages.
        name: of the task.
        task: with its options.
        criterion: name of the criterion.

    Raises:
        ConfigError: the criterion ignores masked tokens, or needs some where the task masks none.
    """
    with tasks.registry.told(task, "`masking`"):
        masking = task.masking(settings.corpus.languages, settings.corpus.source)
    needed = criterions.registry.get(criterion).needs_masks
    if needed and masking is None:
        raise ConfigError(
            f"criterion {criterion!r} learns from masked tokens, and task {name!r} masks none; "
            f"use task {tasks_that_mask()}."
        )
    if masking is not None and not needed:
        raise ConfigError(
            f"task {name!r} masks phrases, and criterion {criterion!r} does not learn from them; "
            f"use criterion {criterions_for(teachers=False, masks=True)}."
        )
    return masking


def masking_provenance(masking: Masking | None) -> dict[str, str]:
    """The part of a run's provenance that stands for the content of its lists of phrases.

    Raises:
        DataError: a list that cannot be used.
    """
    if masking is None or masking.phrases is None:
        return {}
    lists = read_phrases(masking.phrases, [passage for passage, _ in masking.pairs])
    return {"phrases": fingerprint({language: sorted(found.members) for language, found in lists.items()})}


def without_place(masking: Masking | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """A task's options without the folder of phrases: the lists' content counts, see `masking_provenance`."""
    return {name: value for name, value in options.items() if masking is None or name != "phrases"}


def masked_stream(project: Project, masking: Masking | None) -> MaskedStream | None:
    """The masked windows of a task, and a head for them; None for a task that masks nothing.

    Raises:
        ConfigError: a tokenizer without a mask token, or a model that cannot tell masked tokens.
        LbkdError: no passage holds a phrase.
    """
    if masking is None:
        return None
    settings, features = project.settings, project.train_features
    languages = [passage for passage, _ in masking.pairs]
    if masking.phrases is not None:
        phrases = read_phrases(masking.phrases, languages)
    else:
        datasets = project.train_corpus.datasets
        phrases = {
            language: Phrases([phrase.text for phrase in mine(datasets[language].passages)])
            for language in languages
        }
    masker = Masker.of(features, phrases, masking.rate, project.tokenizer, settings.seed)
    windows = features.features(masking.pairs)
    ids = masker.maskable(windows)
    counts = ", ".join(f"{language} {len(found.members):,}" for language, found in phrases.items())
    project.listener.note(f"phrases: {counts}; {len(ids):,} of {len(windows):,} windows hold some")
    if not len(ids):
        raise LbkdError(
            f"No window holds a phrase (phrases: {counts}): there is nothing to mask. Give lists that fit "
            "the passages, one a language, with --phrases."
        )
    model = load_masked_language_model(project.encoder, settings.model.trust_remote_code)
    return MaskedStream(masker, ids, model)
