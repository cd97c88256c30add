"""The files of a folder translated into other languages, with a report on their answers.

<folder>/<split>.<language>.json    beside the source file, with its ids; settings in the field `translation`
<folder>/translation-report.json    settings, counts and examples for each of these files
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lbkd.corpus import squad
from lbkd.corpus.check import load
from lbkd.corpus_translation.locate import RecoverySettings
from lbkd.corpus_translation.memory import Backend, TranslationMemory
from lbkd.corpus_translation.translated import Translated
from lbkd.errors import ConfigError, DataError, LbkdError
from lbkd.progress import Listener
from lbkd.workspace import add_to_json

REPORT = "translation-report.json"


def translate(
    folder: Path,
    files: Mapping[Path, Mapping[str, Path]],
    source: str,
    backend: Backend,
    recovery: RecoverySettings,
    store: Path,
    listener: Listener,
) -> dict[str, Any]:
    """Translate files and return the report on them; texts in the translation memory cost nothing.

    Args:
        folder: where the report is written.
        files: source file to the file to write for each language.
        source: language of the source files, an ISO code.
        backend: the translator.
        recovery: markers and methods that locate the answers.
        store: folder of the translation memories.
        listener: gets the progress of every batch and one note a language.

    Raises:
        ConfigError: the backend cannot translate a pair of languages.
        DataError: a source file is faulty, no question of a file could be kept, a file came back as it was,
            or a file to write exists and was not written by this function.
        Either names the files that were written before, and `report` on these is written.
    """
    languages = list(dict.fromkeys(language for targets in files.values() for language in targets))
    if source in languages:
        raise ConfigError(f"--to {source!r} is the language to translate from; leave it out.")
    for language in languages:
        backend.translator.check(source, language)
    _refuse_foreign_files(target for targets in files.values() for target in targets.values())
    read = {path: squad.read(path, source) for path in files}
    report: dict[str, Any] = {}
    try:
        for language in languages:
            memory = TranslationMemory(store, backend, source, language, listener.progress)
            for path, differing in memory.others():
                listener.note(
                    f"{path} is not used: its translations were made with other settings ({differing})"
                )
            with memory.opened():
                for path, targets in files.items():
                    work = Translated(read[path], source, memory, recovery, targets[language].name)
                    report |= _write(work, memory, recovery, (path, targets[language]), folder)
            listener.note(_told(language, memory))
    except LbkdError as error:
        written = f"Written before that: {', '.join(report)}." if report else "No file was written."
        raise type(error)(f"{error}\n{written}") from error
    finally:
        if report:
            add_to_json(folder / REPORT, report)
    return report


def _write(
    work: Translated,
    memory: TranslationMemory,
    recovery: RecoverySettings,
    paths: tuple[Path, Path],
    folder: Path,
) -> dict[str, Any]:
    """Write a translated file, and return its entry in the report of `folder`.

    Args:
        work: the translation.
        memory: the translations of its texts.
        recovery: markers and methods that located the answers.
        paths: the source file, and the file to write.
        folder: the files in the report are named from here.
    """
    path, target = paths
    document, counts = work.document(load(path)[0])
    settings = {
        "from": memory.source,
        "to": memory.target,
        "backend": memory.settings,
        "how": asdict(recovery),
    }
    squad.write(target, {**document, "translation": settings})
    return {target.relative_to(folder).as_posix(): {"source": path.name, **settings, **counts}}


def _told(language: str, memory: TranslationMemory) -> str:
    """The note on a language that is done."""
    told = f"{language}: {memory.added:,} texts translated; {memory.known:,} were known before"
    if memory.lacking:
        told += f"; {memory.lacking:,} have no translation, and are tried again by the same command"
    return told


def _refuse_foreign_files(targets: Iterable[Path]) -> None:
    """Raise DataError for an existing file without the field `translation`."""
    for path in targets:
        if path.exists():
            document, _ = load(path)
            if not (isinstance(document, dict) and "translation" in document):
                raise DataError(
                    f"{path} is in the way: `lbkd translate` did not write it. "
                    "Move it away, or copy the source file to a folder of its own and name that as --corpus."
                )
