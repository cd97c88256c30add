"""A workspace with two evaluated runs whose answers are worked out by hand; no model is needed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audit_records import record
from run_folders import described as run_of

from lbkd.calibration.fit import reliability
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.models.calibration import Calibration, FittedOn, content_of
from lbkd.workspace import described, write_json, write_manifest, write_sealed

ENGLISH = (
    'Ann 🐈🐈 saw </script><script>document.title="evil"</script> & <!-- in Rome in 1843. Bob left Rome.'
)
ARABIC = "رأت آن القطة في روما عام 1843."
ASKED = {"en": ["Who saw <b>it</b>?", "Where?", "When?", "Who left?"], "ar": ["من رأى القطة؟", "أين؟"]}
GOLDS = {"en": ["Ann", "Rome", "in 1843", "Bob"], "ar": ["آن", "روما"]}
ANSWERS = {
    "baseline": {"en": ["Ann", "in Rome in", "1843", "Ann"], "ar": ["آن", "عام 1843"]},
    "student": {"en": ["Ann 🐈🐈", "Rome", "in 1843", "Bob left"], "ar": ["آن", "روما"]},
}
F1 = {
    "baseline": {"en": (100 + 50 + 200 / 3 + 0) / 4, "ar": 50},
    "student": {"en": 100 * 10 / 3 / 4, "ar": 100},
}
"""Percent. Of "in Rome in" one word of three is right and none is missing: F1 is 2·⅓ / 1⅓ = ½."""
EXACT = {"baseline": {"en": 25, "ar": 50}, "student": {"en": 50, "ar": 100}}


def corpus(folder: Path) -> Path:
    """Test files in English and Arabic."""
    folder.mkdir(parents=True)
    for language, passage in (("en", ENGLISH), ("ar", ARABIC)):
        pairs = enumerate(zip(ASKED[language], GOLDS[language], strict=True))
        asked = [
            {
                "id": f"q{n}",
                "question": text,
                "answers": [{"text": gold, "answer_start": passage.index(gold)}],
            }
            for n, (text, gold) in pairs
        ]
        content = {"data": [{"title": "Cat", "paragraphs": [{"context": passage, "qas": asked}]}]}
        (folder / f"test.{language}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def evaluated(run: Path, texts: Path, answers: Mapping[str, list[str]], name: str = "") -> None:
    """Write answers and scores into a run's folder as an evaluation does; `.matrix`: of a third pair, too."""
    read = ParallelCorpus.read({code: texts / f"test.{code}.json" for code in ("en", "ar")}, "en")
    pairs = [("en", "en"), ("ar", "ar")] + ([("ar", "en")] if name else [])
    files, rows = {}, []
    for passage, question in pairs:
        file = f"eval/test.{f'matrix.{passage}-{question}' if name else passage}.json"
        write_json(run / file, {f"q{n}": text for n, text in enumerate(answers[passage])})
        files[file] = described(run / file)
        scores = {
            "f1": F1[run.name][passage],
            "exact_match": EXACT[run.name][passage],
            "questions": len(answers[passage]),
        }
        rows.append({"language": passage, "question_language": question, **scores})
    how = {"metric": "squad-v1"}
    provenance = {"corpus": read.fingerprint(), "model": content_of(run), "evaluation": how}
    write_sealed(run / f"eval/test{name}.json", {"provenance": provenance, "answers": files, "rows": rows})


def calibrated(run: Path) -> None:
    """Write a calibration into a run's folder: ten answers, every second one right."""
    import numpy as np

    chances, right = np.linspace(0.05, 0.95, 10), np.arange(10) % 2 == 1
    found = reliability(chances, right)._asdict()
    row = {
        "on": "dev",
        "language": "en",
        "questions": 10,
        "temperature": 1.0,
        "before": found,
        "after": found,
    }
    about = FittedOn(name="dev", corpus="0", questions={"en": 10}, metric="squad-v1")
    Calibration(temperature=1, model=content_of(run), fitted_on=about, measures=(row,)).write(run)


def workspace(folder: Path) -> Path:
    """A workspace with the runs `baseline` and `student`; the latter has curves, weights, a calibration."""
    texts = corpus(folder / "corpus")
    for name, answers in ANSWERS.items():
        run = folder / "runs" / name
        write_json(run / "model" / "config.json", {})
        write_manifest(run / "model")
        settings: dict[str, Any] = {"corpus": {"dir": str(texts), "languages": ["en"], "zero_shot": ["ar"]}}
        run_of(settings).model_copy(update={"name": name}).write(run)
        evaluated(run, texts, answers)
    student = folder / "runs" / "student"
    evaluated(student, texts, ANSWERS["student"], ".matrix")
    calibrated(student)
    record().write(student, {})
    lines = [
        {"step": n, "loss": 5 / n, "nll": 4 / n, "kd": 1 / n, "epoch": n / 4, "tokens_per_second": 9}
        for n in (1, 2, 3, 4)
    ]
    lines.append({"step": 4, "epoch": 1.0, "selection_f1": 61.5})
    (student / "metrics.jsonl").write_text(
        "".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8"
    )
    return folder
