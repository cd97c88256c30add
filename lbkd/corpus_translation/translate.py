"""A folder's files translated into other languages, with a report of what became of their answers.

<folder>/<split>.<language>.json    beside the source, with its ids; `translation` in it says how it was made
<folder>/translation-report.json    for each of these files: settings, counts, examples
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from lbkd.corpus import squad
from lbkd.corpus.check import load
from lbkd.corpus_translation.locate import How
from lbkd.corpus_translation.memory import TranslationMemory
from lbkd.corpus_translation.translated import Translated
from lbkd.errors import ConfigError, DataError
from lbkd.translation import Translator
from lbkd.workspace import add_to_json

REPORT = "translation-report.json"

Note = Callable[[str], None]
"""Gets a line for the user."""
Progress = Callable[[str, int, int, Mapping[str, float]], None]
"""Gets what is under way, how much of how much is done, and numbers of the moment."""


def translate(
    folder: Path,
    files: Mapping[Path, Mapping[str, Path]],
    source: str,
    backend: tuple[str, Translator],
    how: How,
    store: Path,
    note: Note,
    progress: Progress,
) -> dict[str, Any]:
    """Translate files; a text that was translated before is not again. Returns the report on these files.

    Args:
        folder: where the report goes.
        files: source file -> language -> the file to write.
        source: language of the source files, an ISO code.
        backend: the translator and its registered name.
        how: how answers are sought.
        store: folder of the translation memories.
        note: gets lines for the user.
        progress: is told about every batch.

    Raises:
        ConfigError: the backend cannot translate a pair of languages.
        DataError: a faulty source file, one of which nothing could be kept, or a file in the way that this
            function did not write.
    """
    name, translator = backend
    languages = list(dict.fromkeys(language for targets in files.values() for language in targets))
    if source in languages:
        raise ConfigError(f"--to {source!r} is the language to translate from; leave it out.")
    for language in languages:
        translator.check(source, language)
    _refuse_strangers(target for targets in files.values() for target in targets.values())
    read = {path: squad.read(path, source) for path in files}
    report = {}
    for language in languages:
        memory = TranslationMemory(store, name, translator, source, language)
        for path, differing in memory.others():
            note(f"{path} is not used: its translations were made with other settings ({differing})")
        with memory.opened():
            for path, targets in files.items():
                target = targets[language]
                work = Translated(read[path], source, memory, how, partial(progress, target.name))
                document, counts = work.document(load(path)[0])
                settings = {"from": source, "to": language, "backend": memory.settings, "how": asdict(how)}
                squad.write(target, {**document, "translation": settings})
                report[target.relative_to(folder).as_posix()] = {"source": path.name, **settings, **counts}
        note(f"{language}: {memory.added:,} texts translated; {memory.known:,} were known before")
    add_to_json(folder / REPORT, report)
    return report


def _refuse_strangers(targets: Iterable[Path]) -> None:
    for path in targets:
        if path.exists():
            document, _ = load(path)
            if not (isinstance(document, dict) and "translation" in document):
                raise DataError(
                    f"{path} is in the way: `lbkd translate` did not write it. "
                    "Move it away, or copy the source file to a folder of its own and name that as --corpus."
                )
