"""A project: one corpus, one encoder and one workspace, shared by all steps from texts to a student."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lbkd.config import Settings
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.distributed import collectives, group
from lbkd.errors import ConfigError
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.features.windows import WindowSettings, window_settings
from lbkd.locks import locked
from lbkd.models.load import commit_of, language_numbers, load_config, load_tokenizer, longest_input
from lbkd.models.prepare import prepare
from lbkd.progress import Listener, Silent
from lbkd.workspace import differences, fingerprint, folder_hash, replacing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")


class Project:
    """Texts as windows, the encoder, and the places of results; each is made at first use.

    Every rank must use the properties and methods that make something: rank 0 writes the files, and the other
    ranks wait.

    Args:
        settings: the user's settings.
        listener: receives progress and messages; only rank 0's listener does.
        nproc: the number of ranks that the user asked for, if any.

    Raises:
        ConfigError: a batch has fewer windows than there are ranks, or a rank does not see the workspace.
    """

    variant = ""
    """Part of all runs' names that tells settings; empty but for rows of a recipe."""

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
            collectives.check_shared(self.settings.workspace, self.rank)

    @cached_property
    def train_corpus(self) -> ParallelCorpus:
        """Training texts."""
        corpus = self.settings.corpus
        return self._corpus(corpus.train, corpus.languages, corpus.source)

    @cached_property
    def test_corpus(self) -> ParallelCorpus:
        """Test texts, zero-shot languages included, in the languages that have a test file.

        Raises:
            DataError: a faulty file, or no file in any language.
        """
        found, source = self._tested or self._test_languages, self.settings.corpus.source
        if lacking := [language for language in self._test_languages if language not in found]:
            files = ", ".join(str(self.settings.path(self.settings.corpus.test, name)) for name in lacking)
            self.listener.note(f"no scores in {', '.join(lacking)}: there is no {files}")
        return self._corpus(self.settings.corpus.test, found, source if source in found else found[0])

    @property
    def has_test(self) -> bool:
        """True if the corpus has a test file in some language."""
        return bool(self._tested)

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
    def encoder_content(self) -> str:
        """Fingerprint of the pretrained encoder's folder, wherever that lies; the name of another encoder."""
        name = self.settings.model.name
        return folder_hash(Path(name)) if Path(name).is_dir() else name

    @cached_property
    def encoder(self) -> str:
        """Folder, or hub id and commit, of the pretrained encoder; the workspace holds a trimmed one."""
        model, folder = self.settings.model, self.settings.workspace / "models"
        name = f"{model.name}@{self.commit}" if self.commit else model.name
        texts_key = self._texts_key  # opens the corpora on every rank, before rank 0 alone reads the texts
        return self.made_once(
            folder,
            lambda: prepare(
                name,
                model.trim,
                self._texts(),
                folder,
                trust=model.trust_remote_code,
                key=texts_key,
                note=self.listener.note,
            ),
        )

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Tokenizer of the encoder.

        Raises:
            ConfigError: `model.max_length` is more than the encoder can read.
        """
        trust, wanted = self.settings.model.trust_remote_code, self.settings.model.max_length
        tokenizer = load_tokenizer(self.encoder, trust)
        most = longest_input(load_config(self.encoder, trust), tokenizer)
        if wanted > most:
            raise ConfigError(f"model.max_length = {wanted}: {self.encoder} reads at most {most} tokens.")
        return tokenizer

    @cached_property
    def tokenizer_hash(self) -> str:
        """Hash of the tokenizer, which teachers and student must share."""
        return tokenizer_hash(self.tokenizer, self._languages)

    @cached_property
    def train_features(self) -> FeatureSet:
        """Windows of the training texts."""
        windows = window_settings(self.settings.model)
        return self._features(
            self.train_corpus, self.tokenizer, self._languages, self.tokenizer_hash, windows
        )

    def test_features(self, corpus: ParallelCorpus, model: str, windows: WindowSettings) -> FeatureSet:
        """Windows of texts for a model, by its own tokenizer; test texts as a rule.

        Args:
            corpus: the texts.
            model: folder or hub id of the model.
            windows: the model's window settings.
        """
        trust = self.settings.model.trust_remote_code
        tokenizer = load_tokenizer(model, trust)
        languages = language_numbers(load_config(model, trust), tokenizer)
        hashed = tokenizer_hash(tokenizer, languages)
        key = corpus.fingerprint(), hashed, windows
        if key not in self._test_features:
            self._test_features[key] = self._features(corpus, tokenizer, languages, hashed, windows)
        found = self._test_features[key]
        return found if found.corpus is corpus else replace(found, corpus=corpus)

    def alike(self, provenance: dict[str, Any]) -> None:
        """Check that all ranks have the same provenance of a result: hosts may have different files.

        Raises:
            ConfigError: on every rank, with the names of the entries that differ.
        """
        everyone = collectives.all_gather_objects((socket.gethostname(), provenance))
        for rank, (host, theirs) in enumerate(everyone):
            if different := differences(everyone[0][1], theirs):
                raise ConfigError(
                    f"rank {rank} on {host} has another {different} than rank 0 on {everyone[0][0]}: "
                    "give every host the same command, the same files and the same packages."
                )

    def altered(self, **settings: Any) -> "Project":
        """A project with some settings replaced; texts and encoder that were made already are shared."""
        other = copy(self)
        other.settings = self.settings.model_copy(update=settings)
        return other

    def seeded(self, more: int) -> "Project":
        """A project whose seed is larger by `more`."""
        return self.altered(seed=self.settings.seed + more)

    def run_folder(self, task: str, *parts: str | None) -> Path:
        """Folder of a run, named after its task, `parts`, the `variant`, and the seed where it is not 1."""
        seed = f"seed{self.settings.seed}" if self.settings.seed != 1 else None
        return self.settings.workspace / "runs" / ".".join(filter(None, (task, *parts, self.variant, seed)))

    @contextmanager
    def replacing(self, folder: Path) -> Iterator[Path]:
        """Fill a fresh folder on rank 0, as `workspace.replacing`; other ranks must not use that path."""
        if self.rank == 0:
            with replacing(folder) as new:
                yield new
        else:
            yield folder
        collectives.barrier()

    def made_once(self, place: Path, make: Callable[[], T]) -> T:
        """Call `make` on rank 0, which writes below `place`, then on the other ranks, which find the files.

        Other commands that make something below `place` wait for rank 0, and then find the files too.
        """

        def made_first() -> T | None:
            if self.rank != 0:
                return None
            with locked(place, self.listener.note):
                return make()

        made = collectives.raise_on_all_ranks(made_first)
        return made if made is not None else make()

    @contextmanager
    def locked(self, place: Path) -> Iterator[None]:
        """Hold the lock on a result until every rank has left the block; rank 0 has the lock.

        Every attempt of rank 0 is a collective operation: in a single one, ranks would give up at last.
        """
        if self.rank == 0:
            with locked(place, self.listener.note, collectives.broadcast_object):
                yield
                collectives.barrier()
        else:
            while not collectives.broadcast_object(False):
                pass
            yield
            collectives.barrier()

    @cached_property
    def _languages(self) -> dict[str, int] | None:
        config = load_config(self.encoder, self.settings.model.trust_remote_code)
        return language_numbers(config, self.tokenizer)

    @property
    def _test_languages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.settings.corpus.languages, *self.settings.corpus.zero_shot)))

    @cached_property
    def _tested(self) -> tuple[str, ...]:
        """The languages that have a test file, on the first rank's host."""
        split = self.settings.corpus.test
        there = tuple(name for name in self._test_languages if self.settings.path(split, name).exists())
        return tuple(collectives.broadcast_object(there))

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
            paths = {source: settings.path(split, source)}
            corpora.append(ParallelCorpus.read(paths, source, settings.corpus.limit))
        return corpora

    @property
    def _texts_key(self) -> str:
        """Fingerprint of the texts that `_texts` yields."""
        return fingerprint([corpus.fingerprint() for corpus in self._corpora])

    def _texts(self) -> Iterator[str]:
        """Yield all texts of the corpus, training and test, reading one language at a time."""
        for corpus in self._corpora:
            for data in corpus.datasets.values():
                yield from data.passages
                yield from data.question_texts

    def _corpus(self, split: str, languages: tuple[str, ...], source: str) -> ParallelCorpus:
        paths = {language: self.settings.path(split, language) for language in languages}
        folder, corpus = self.settings.workspace / "corpus", self.settings.corpus
        return self.made_once(
            folder, lambda: ParallelCorpus.read(paths, source, corpus.limit, folder, corpus.native)
        )

    def _features(
        self,
        corpus: ParallelCorpus,
        tokenizer: "PreTrainedTokenizerBase",
        languages: dict[str, int] | None,
        hashed: str,
        windows: WindowSettings,
    ) -> FeatureSet:
        folder = self.settings.workspace / "tokens"
        return self.made_once(
            folder, lambda: FeatureSet.build(corpus, tokenizer, hashed, folder, windows, languages)
        )
