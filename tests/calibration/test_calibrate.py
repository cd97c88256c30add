"""A model calibrated: what is kept, refused and used."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_folders import as_run

from lbkd.calibration.calibrate import ALL, Observed, calibrate, calibrate_where_possible, measures
from lbkd.calibration.dev_set import benchmark_dev_set, dev_set
from lbkd.calibration.fit import TEMPERATURES
from lbkd.calibration.tempered import tempered_answers
from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.errors import ConfigError, DataError
from lbkd.evaluation.answers import Decoding, answer
from lbkd.evaluation.decode import Answer, Decoded
from lbkd.evaluation.evaluate import evaluate
from lbkd.evaluation.torch_reader import TorchReader
from lbkd.features.windows import window_settings
from lbkd.inference import Answerer
from lbkd.models.calibration import FILE, content_of, read_calibration
from lbkd.models.load import load_span_model
from lbkd.project import Project
from lbkd.settings import load_settings

Made = Callable[..., Project]


@pytest.fixture
def made(tiny_model_folder: Path, tmp_path: Path) -> Made:
    """A project whose dev split is the corpus's Spanish and German test, and whose test is one passage."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for language in ("en", "es", "de"):
        (corpus / f"train.{language}.json").symlink_to(BUILTIN_CORPUS / f"train.{language}.json")
        (corpus / f"dev.{language}.json").symlink_to(BUILTIN_CORPUS / f"test.{language}.json")
    as_run(tiny_model_folder, tmp_path / "work" / "runs" / "tiny", {"model": {"max_length": 384}})

    def make(**settings: Any) -> Project:
        given = {
            "corpus.dir": corpus,
            "corpus.languages": "en,es",
            "corpus.zero_shot": "de",
            "corpus.benchmarks": tmp_path / "data",
            "model.name": str(tiny_model_folder),
            "workspace": tmp_path / "work",
            **{name.replace("__", "."): value for name, value in settings.items()},
        }
        return Project(load_settings(given), Notes())

    return make


class Notes:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def progress(self, *_: object) -> None:
        pass


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "work" / "runs" / "tiny"


def test_tempered_answers_are_the_decoder_s(made: Made, run: Path) -> None:
    """One pass gives at each temperature what the decoder gives; only the probabilities differ."""
    project = made(corpus__limit=2)
    dev, folder = dev_set(project), str(run / "model")
    reader = TorchReader(load_span_model(folder))
    features = project.test_features(dev.corpus, folder, window_settings(project.settings.model))
    ids = features.features([("es", "es")])
    found = tempered_answers(reader, features, ids, Decoding(30, 2048, impossible=True))
    assert len(found) == len(dev.golds("es", "es"))
    for number in (0, TEMPERATURES.index(1.0), -1):
        how = Decoding(30, 2048, impossible=True, temperature=TEMPERATURES[number])
        alone = answer(reader, features, ids, how).values()
        for own, other in zip(found.values(), alone, strict=True):
            assert own[number].answers[0][:3] == other.answers[0][:3]
            assert own[number].no_answer == pytest.approx(other.no_answer)
            assert own[number].answers[0].probability == pytest.approx(other.answers[0].probability)
    for own in found.values():
        assert len({each.answers[0][:3] for each in own}) == 1
        chances = [each.answers[0].probability for each in own]
        assert chances[-1] < chances[0]


def test_calibration_is_kept_and_used(made: Made, run: Path) -> None:
    project = made()
    found = calibrate(project, run, dev_set(project))
    assert read_calibration(run) == found
    assert found.fitted_on.questions == {"en": 54, "es": 54, "de": 54}
    assert set(found.temperatures) == {"en", "es", "de"}
    rows = {row["language"]: row for row in found.measures}
    assert list(rows) == ["en", "es", "de", ALL]
    assert rows[ALL]["questions"] == 162
    for row in rows.values():
        assert row["after"]["nll"] <= row["before"]["nll"]
        assert row["before"]["accuracy"]["1"] == row["after"]["accuracy"]["1"]
    asked = {"question": "¿Quién lo hizo?", "context": "Lo hizo Ana en la casa de Pedro."}
    answerer = Answerer(run)
    plain, spanish = answerer(asked), answerer(asked, lang="es")
    for told, temperature in ((plain, found.temperature), (spanish, found.temperatures["es"])):
        raw = _at(run, temperature, asked)
        assert told == {**raw, "score": pytest.approx(raw["score"])}
    with pytest.raises(ConfigError, match="takes no languages; it is calibrated for en, es, de"):
        answerer(asked, lang="fr")
    assert "calibrated before, still valid" in _again(project, run)


def test_another_length_or_precision_is_another_calibration(made: Made, run: Path) -> None:
    """A score is a share among the spans that may be answered, as the model computes them."""
    first = calibrate(made(corpus__limit=1), run, dev_set(made(corpus__limit=1)))
    short = made(corpus__limit=1, evaluation__max_answer_tokens=1)
    assert "still valid" not in _again(short, run)
    found = read_calibration(run)
    assert found is not None and found.fitted_on.max_answer_tokens == 1
    assert found.measures != first.measures
    assert "still valid" in _again(short, run)


def _at(run: Path, temperature: float, asked: dict[str, str]) -> dict[str, Any]:
    """The answer at a temperature, by another calibration."""
    place = run / FILE
    former = place.read_bytes()
    known = read_calibration(run)
    assert known is not None
    known.model_copy(update={"temperature": temperature, "temperatures": {}}).write(run)
    try:
        return dict(Answerer(run)(asked))
    finally:
        place.write_bytes(former)


def _again(project: Project, run: Path) -> str:
    calibrate(project, run, dev_set(project))
    return " ".join(project.listener.notes)  # type: ignore[attr-defined]


def test_few_questions_have_the_temperature_of_all(made: Made, run: Path) -> None:
    project = made(corpus__limit=1)
    found = calibrate(project, run, dev_set(project))
    assert found.temperatures == {}
    assert found.temperature in TEMPERATURES


def test_a_retrained_model_s_calibration_is_stale(made: Made, run: Path) -> None:
    project = made(corpus__limit=1)
    calibrate(project, run, dev_set(project))
    card = run / "model" / "README.md"
    card.write_text("another card", encoding="utf-8")
    assert read_calibration(run) is not None
    manifest = json.loads((run / "model" / "MANIFEST.json").read_text())
    manifest["model.safetensors"]["sha256"] = "0" * 64
    (run / "model" / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="stale, since it was fitted to another model") as raised:
        read_calibration(run)
    assert f"`lbkd calibrate {run}`" in str(raised.value)
    (run / FILE).write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        read_calibration(run)


def test_a_model_folder_has_a_calibration_too(made: Made, tiny_model_folder: Path, tmp_path: Path) -> None:
    import shutil

    model = Path(shutil.copytree(tiny_model_folder, tmp_path / "plain"))
    project, before = made(corpus__limit=1), content_of(model)
    found = calibrate(project, model, dev_set(project))
    assert (content_of(model), Answerer(model).loaded.calibration) == (before, found)


def test_what_is_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="split 'dev': models are tested on it"):
        dev_set(made(corpus__test="dev"))
    with pytest.raises(ConfigError, match="split 'train': models are trained on it"):
        dev_set(made(), "train")
    with pytest.raises(ConfigError, match=r"has no valid file in any language, such as .*valid.en.json"):
        dev_set(made(), "valid")
    with pytest.raises(ConfigError, match="xquad has test questions alone"):
        benchmark_dev_set(made(), "xquad", tmp_path)
    (tmp_path / "corpus" / "test.es.json").symlink_to(BUILTIN_CORPUS / "test.es.json")
    with pytest.raises(
        ConfigError, match=r"^54 of the 54 questions of dev are in the test set of the corpus"
    ):
        dev_set(made())


def test_after_a_training(made: Made, run: Path, tmp_path: Path) -> None:
    project = made(corpus__limit=1)
    calibrate_where_possible(project, run)
    assert read_calibration(run) is not None
    other = made(corpus__dev="valid")
    calibrate_where_possible(other, run)
    [note] = other.listener.notes  # type: ignore[attr-defined]
    assert "scores are not calibrated" in note
    (tmp_path / "corpus" / "valid.en.json").symlink_to(BUILTIN_CORPUS / "train.en.json")
    calibrate_where_possible(other, run)
    assert "of valid are trained on" in other.listener.notes[-1]  # type: ignore[attr-defined]


def decoded(doubt: float) -> list[Decoded]:
    """Two possibilities, a span and no answer, at all temperatures."""
    shares = [1 / (1 + math.exp(doubt / temperature)) for temperature in TEMPERATURES]
    return [Decoded([Answer("Ada", 0, 3, share)], doubt, math.log(share)) for share in shares]


def test_a_threshold_decides_what_is_given() -> None:
    """Doubts -1, 1, 3; with the threshold 2 the second question is answered, and the third is not."""
    found = {str(n): decoded(doubt) for n, doubt in enumerate([-1.0, 1.0, 3.0])}
    golds: dict[str, list[str]] = {"0": ["Ada"], "1": ["Ada"], "2": []}
    observed = Observed.of(found, golds, "squad-v2", "en")
    chances, right = observed.answered(2.0)
    one = TEMPERATURES.index(1.0)
    expected = [1 / (1 + math.exp(-3)), 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-1))]
    assert chances[one] == pytest.approx(expected)
    assert right.tolist() == [True, True, True]
    assert observed.answered(0.0)[1].tolist() == [True, False, True]
    assert observed.answered(None)[1].tolist() == [True, True, False]


def test_squad_v2(made: Made, run: Path, tmp_path: Path) -> None:
    """Every other question unanswerable: the threshold decides answers, here and in evaluation."""
    corpus = tmp_path / "corpus"
    for split in ("dev", "test"):
        source = json.loads((BUILTIN_CORPUS / "test.en.json").read_text(encoding="utf-8"))
        articles = source["data"]
        source["data"] = articles[: len(articles) // 2] if split == "dev" else articles[len(articles) // 2 :]
        for article in source["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"][::2]:
                    question |= {"answers": [], "is_impossible": True}
        (corpus / f"{split}.en.json").unlink(missing_ok=True)
        (corpus / f"{split}.en.json").write_text(json.dumps(source), encoding="utf-8")
    project = made(corpus__languages="en", corpus__zero_shot="", evaluation__metric="squad-v2")
    found = calibrate(project, run, dev_set(project))
    assert found.no_answer_threshold is not None
    assert {row["language"] for row in found.measures} == {"en"}
    known, rule = Answerer(run), {"handle_impossible_answer": True}
    test = ParallelCorpus.read({"en": corpus / "test.en.json"}, "en").datasets["en"]
    asked = [{"question": q.text, "context": test.passages[q.passage]} for q in test.questions]
    answers = [each["answer"] for each in known(asked, **rule)]
    evaluate(project, run)
    assert list(json.loads((run / "eval" / "test.en.json").read_text(encoding="utf-8")).values()) == answers
    for sign in (-1, 1):
        found.model_copy(update={"no_answer_threshold": sign * 1e4}).write(run)
        given = {each["answer"] == "" for each in Answerer(run)(asked, **rule)}
        assert given == {sign < 0}
        assert all(each["answer"] for each in Answerer(run)(asked))


def test_measures_of_one_language_have_no_row_for_all(made: Made, run: Path) -> None:
    project = made(corpus__limit=1)
    calibration = calibrate(project, run, dev_set(project))
    observed = Observed.of({"1": decoded(-1.0)}, {"1": ["b"]}, "squad-v1", "en")
    [row] = measures({"en": observed}, calibration)
    assert (row["language"], row["before"]["accuracy"]["1"]) == ("en", 0)
    assert row["before"]["ece"] == pytest.approx(1 / (1 + math.exp(-1)))
