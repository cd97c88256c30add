"""One corpus, one encoder, one workspace: what every step of the way shares."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from lbkd.config import ModelSettings, Settings
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.distributed import collectives, group
from lbkd.errors import ConfigError
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.features.windows import WindowSettings
from lbkd.models.load import commit_of, language_numbers, load_config, load_tokenizer, longest_input
from lbkd.models.prepare import prepare
from lbkd.progress import Listener, Silent
from lbkd.workspace import differences, fingerprint, replacing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")


class Project:
    """The texts as windows, the encoder, and where results lie; everything is made at first use.

    Args:
        settings: all of them.
        listener: hears of progress; rank 0's only.
        nproc: the number of ranks that was asked for, if any.
    """

    def __init__(
        self, settings: Settings, listener: Listener | None = None, nproc: int | None = None
    ) -> None:
        self.settings = settings
        self.rank, self.world_size = group.start(nproc)
        self.listener: Listener = listener if listener is not None and self.rank == 0 else Silent()
        self._test_features: dict[tuple[str, str, WindowSettings], FeatureSet] = {}
        if settings.training.batch_size < self.world_size:
            raise ConfigError(
                f"training.batch_size = {settings.training.batch_size} is less than the "
                f"{self.world_size} ranks."
            )
        if self.world_size > 1:
            self._share_workspace()

    @cached_property
    def train_corpus(self) -> ParallelCorpus:
        """The texts to learn from."""
        return self._corpus(self.settings.corpus.train, self.settings.corpus.languages)

    @cached_property
    def test_corpus(self) -> ParallelCorpus:
        """The texts to evaluate on, zero-shot languages included."""
        return self._corpus(self.settings.corpus.test, self._test_languages)

    @property
    def has_test(self) -> bool:
        """Whether the corpus has test files in all languages."""
        split = self.settings.corpus.test
        return all(self.settings.path(split, language).exists() for language in self._test_languages)

    @cached_property
    def commit(self) -> str | None:
        """Commit of a pretrained encoder from the hub; None for another."""
        model = self.settings.model
        found: str | None = collectives.broadcast_object(
            collectives.raise_on_all_ranks(
                lambda: commit_of(model.name, model.revision, model.trust_remote_code)
            )
        )
        return found

    @cached_property
    def encoder(self) -> str:
        """Folder, or hub id and commit, of the pretrained encoder; its vocabulary is trimmed if so set."""
        model, folder = self.settings.model, self.settings.workspace / "models"
        name = f"{model.name}@{self.commit}" if self.commit else model.name
        return self._first(
            lambda: prepare(
                name,
                model.trim,
                self._texts(),
                folder,
                trust=model.trust_remote_code,
                key=self._texts_key,
                note=self.listener.note,
            )
        )

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The encoder's; `ConfigError` if windows are longer than the encoder can read."""
        trust, wanted = self.settings.model.trust_remote_code, self.settings.model.max_length
        tokenizer = load_tokenizer(self.encoder, trust)
        most = longest_input(load_config(self.encoder, trust), tokenizer)
        if wanted > most:
            raise ConfigError(f"model.max_length = {wanted}: {self.encoder} reads at most {most} tokens.")
        return tokenizer

    @cached_property
    def tokenizer_hash(self) -> str:
        """What teachers and student must share."""
        return tokenizer_hash(self.tokenizer, self._languages)

    @cached_property
    def train_features(self) -> FeatureSet:
        """The training texts as windows."""
        windows = window_settings(self.settings.model)
        return self._features(
            self.train_corpus, self.tokenizer, self._languages, self.tokenizer_hash, windows
        )

    def test_features(self, corpus: ParallelCorpus, model: str, windows: WindowSettings) -> FeatureSet:
        """Texts to evaluate on as windows, as the model of a folder or hub id reads them."""
        trust = self.settings.model.trust_remote_code
        tokenizer = load_tokenizer(model, trust)
        languages = language_numbers(load_config(model, trust), tokenizer)
        hashed = tokenizer_hash(tokenizer, languages)
        key = corpus.fingerprint(), hashed, windows
        if key not in self._test_features:
            self._test_features[key] = self._features(corpus, tokenizer, languages, hashed, windows)
        return self._test_features[key]

    def alike(self, provenance: dict[str, Any]) -> None:
        """Hold what a result depends on against the other ranks', whose hosts may have other files.

        Raises:
            ConfigError: on every rank, with the names of what differs.
        """
        everyone = collectives.all_gather_objects((socket.gethostname(), provenance))
        for rank, (host, theirs) in enumerate(everyone):
            if different := differences(everyone[0][1], theirs):
                raise ConfigError(
                    f"rank {rank} on {host} has another {different} than rank 0 on {everyone[0][0]}: "
                    "give every host the same command, the same files and the same packages."
                )

    def altered(self, **settings: Any) -> "Project":
        """The same with another seed or other options of components; what is at hand already is shared."""
        other = copy(self)
        other.settings = self.settings.model_copy(update=settings)
        return other

    def seeded(self, more: int) -> "Project":
        """The same with so much added to its seed."""
        return self.altered(seed=self.settings.seed + more)

    def run_folder(self, task: str, *parts: str | None) -> Path:
        """Where the run of a task lies; the seed is part of the name unless it is 1."""
        seed = f"seed{self.settings.seed}" if self.settings.seed != 1 else None
        return self.settings.workspace / "runs" / ".".join(filter(None, (task, *parts, seed)))

    @contextmanager
    def replacing(self, folder: Path) -> Iterator[Path]:
        """`workspace.replacing` by rank 0; the others get a path that they must not use."""
        if self.rank == 0:
            with replacing(folder) as new:
                yield new
        else:
            yield folder
        collectives.barrier()

    @cached_property
    def _languages(self) -> dict[str, int] | None:
        config = load_config(self.encoder, self.settings.model.trust_remote_code)
        return language_numbers(config, self.tokenizer)

    @property
    def _test_languages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.settings.corpus.languages, *self.settings.corpus.zero_shot)))

    @property
    def _corpora(self) -> list[ParallelCorpus]:
        """The corpora whose texts a cut vocabulary must read without loss.

        Test texts count only where the cut is for good (`model.trim`).
        """
        corpora, settings = [self.train_corpus], self.settings
        if settings.model.trim is not None and self.has_test:
            corpora.append(self.test_corpus)
        if (split := settings.training.select_on) is not None:
            source = settings.corpus.source
            corpora.append(ParallelCorpus.read({source: settings.path(split, source)}, source))
        return corpora

    @property
    def _texts_key(self) -> str:
        """What stands for `_texts`."""
        return fingerprint([corpus.fingerprint() for corpus in self._corpora])

    def _texts(self) -> Iterator[str]:
        """All texts of the corpus, read one after another."""
        for corpus in self._corpora:
            for data in corpus.datasets.values():
                yield from data.passages
                yield from data.question_texts

    def _corpus(self, split: str, languages: tuple[str, ...]) -> ParallelCorpus:
        paths = {language: self.settings.path(split, language) for language in languages}
        folder = self.settings.workspace / "corpus"
        return ParallelCorpus.read(paths, self.settings.corpus.source, self.settings.corpus.limit, folder)

    def _features(
        self,
        corpus: ParallelCorpus,
        tokenizer: "PreTrainedTokenizerBase",
        languages: dict[str, int] | None,
        hashed: str,
        windows: WindowSettings,
    ) -> FeatureSet:
        folder = self.settings.workspace / "tokens"
        return self._first(lambda: FeatureSet.build(corpus, tokenizer, hashed, folder, windows, languages))

    def _share_workspace(self) -> None:
        """Make sure that all ranks see one folder; ConfigError where a host has one of its own."""
        token = self.settings.workspace.absolute() / str(
            collectives.broadcast_object(f".shared-{uuid4().hex}")
        )

        def look() -> None:
            if not token.exists():
                raise ConfigError(
                    f"rank {self.rank} on {socket.gethostname()} does not see what rank 0 writes in "
                    f"{token.parent}: put the --workspace on a disk that all hosts share, at the same path."
                )

        if self.rank == 0:
            token.parent.mkdir(parents=True, exist_ok=True)
            token.touch()
        collectives.barrier()
        try:
            collectives.raise_on_all_ranks(look)
        finally:
            if self.rank == 0:
                token.unlink()

    def _first(self, make: Callable[[], T]) -> T:
        """Rank 0 makes something on disk, then the others find it there."""
        made = collectives.raise_on_all_ranks(lambda: make() if self.rank == 0 else None)
        return made if made is not None else make()


def window_settings(model: ModelSettings) -> WindowSettings:
    """The part of the model's settings that decides how a pair becomes windows."""
    return WindowSettings(model.max_length, model.max_question_tokens, model.window_step)
