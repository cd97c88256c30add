"""The files of a folder translated into other languages, with a report on their answers.

<folder>/<split>.<language>.json    beside the source file, with its ids; settings in the field `translation`
<folder>/translation-report.json    settings, counts and examples for each of these files
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lbkd.corpus import squad
from lbkd.corpus.check import load
from lbkd.corpus_translation.locate import RecoverySettings
from lbkd.corpus_translation.memory import Backend, TranslationMemory
from lbkd.corpus_translation.translated import Translated
from lbkd.errors import ConfigError, LbkdError
from lbkd.outputs import replacing_files
from lbkd.progress import Listener
from lbkd.workspace import add_to_json

REPORT = "translation-report.json"


@dataclass(frozen=True)
class Outputs:
    """Files that a translation writes."""

    folder: Path
    """Folder of the report."""
    files: Mapping[Path, Mapping[str, Path]]
    """Source file to the file to write for each language."""
    overwrite: bool = False
    """Replace files that lbkd did not write, or that were changed since, such as corrected translations."""


def translate(
    outputs: Outputs,
    source: str,
    backend: Backend,
    recovery: RecoverySettings,
    store: Path,
    listener: Listener,
) -> dict[str, Any]:
    """Translate files and return the report on them; texts in the translation memory cost nothing.

    All files are written at the end, or none.

    Args:
        outputs: source files, and the files to write.
        source: language of the source files, an ISO code.
        backend: the translator.
        recovery: markers and methods that locate the answers.
        store: folder of the translation memories.
        listener: gets the progress of every batch and one note a language.

    Raises:
        ConfigError: the backend cannot translate a pair of languages.
        DataError: a source file is faulty, no question of a file could be kept, a file came back as it was,
            or a file would be replaced that lbkd did not write, or that was changed since (see `outputs`).
    """
    files = outputs.files
    languages = list(dict.fromkeys(language for targets in files.values() for language in targets))
    if source in languages:
        raise ConfigError(f"--to {source!r} is the language to translate from; leave it out.")
    for language in languages:
        backend.check(source, language)
    read = {path: squad.read(path, source) for path in files}
    targets = [target for targets in files.values() for target in targets.values()]
    report: dict[str, Any] = {}
    with replacing_files(targets, outputs.overwrite) as fresh, _none_written():
        for language in languages:
            memory = TranslationMemory(store, backend, source, language, listener.progress)
            for path, differing in memory.others():
                listener.note(
                    f"{path} is not used: its translations were made with other settings ({differing})"
                )
            settings = {"from": source, "to": language, "backend": memory.settings, "how": asdict(recovery)}
            with memory.opened():
                for path in files:
                    target = files[path][language]
                    work = Translated(read[path], source, memory, recovery, target.name)
                    document, counts = work.document(load(path)[0])
                    squad.write(fresh[target], {**document, "translation": settings})
                    name = target.relative_to(outputs.folder).as_posix()
                    report[name] = {"source": path.name, **settings, **counts}
            listener.note(_told(language, memory))
    add_to_json(outputs.folder / REPORT, report)
    return report


@contextmanager
def _none_written() -> Iterator[None]:
    """Add to an error that no file was written."""
    try:
        yield
    except LbkdError as error:
        kept = "finished translations of texts are kept for the next command"
        raise type(error)(f"{error}\nNo file was written; {kept}.") from error


def _told(language: str, memory: TranslationMemory) -> str:
    """The note on a language that is done."""
    told = f"{language}: {memory.added:,} texts translated; {memory.known:,} were known before"
    if memory.lacking:
        told += f"; {memory.lacking:,} have no translation, and are tried again by the same command"
    if memory.damaged:
        told += f"; {memory.damaged:,} damaged lines of {memory.path} were left out"
    return told
