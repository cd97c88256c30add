import json
import shutil
from pathlib import Path

import pytest
from asking import LONG, PASSAGE, QUESTION, rule_seen, same
from run_folders import as_run

from lbkd.errors import ConfigError, DataError
from lbkd.inference import Answerer


def test_a_run_is_read_as_it_was_trained(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answerer: Answerer
) -> None:
    model = {"max_length": 96, "max_question_tokens": 16, "window_step": 30}
    run = Answerer(as_run(tiny_model_folder, tmp_path, {"model": model}))
    seen = rule_seen(monkeypatch)
    found = run(question=QUESTION, context=LONG)
    assert (seen[0].max_length, seen[0].max_question_tokens, seen[0].step) == (96, 16, 30)
    alike = answerer(question=QUESTION, context=LONG, max_seq_len=96, max_question_len=16, doc_stride=47)
    assert seen[1] == seen[0]
    assert same(found, alike)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"settings": 3}', '{"settings": {"model": {"a": 1}}}']
)
def test_damaged_run(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match="run.json: damaged, or not written by this version of lbkd"):
        Answerer(tmp_path)


def test_a_model_with_few_positions(tiny_model_folder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertForQuestionAnswering

    folder = tmp_path / "short"
    shutil.copytree(tiny_model_folder, folder)
    config = BertConfig.from_pretrained(folder, max_position_embeddings=128)
    with torch.random.fork_rng():
        BertForQuestionAnswering(config).save_pretrained(folder)
    answerer = Answerer(folder)
    assert answerer(question=QUESTION, context=LONG)["answer"]
    with pytest.raises(ConfigError, match="at most 128 tokens"):
        answerer(question=QUESTION, context=LONG, max_seq_len=129)


def test_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model"):
        Answerer(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def told(tiny_xlm_folder: Path) -> Answerer:
    """A random XLM."""
    return Answerer(tiny_xlm_folder)


def test_the_languages_decide(told: Answerer) -> None:
    """Of the passage, and of the question, which is the same unless it is told."""
    asked = {"question": [QUESTION, "¿Quién?"], "context": PASSAGE, "top_k": 5}
    both = told(**asked, lang="es")
    assert both == told(**asked, lang="es", question_lang="es")
    assert [len(answers) for answers in both] == [5, 5]
    for answers in both:
        assert all(a["answer"] == PASSAGE[a["start"] : a["end"]] for a in answers)
    others = [told(**asked, lang="es", question_lang="en"), told(**asked, lang="en", question_lang="es")]
    scores = {tuple(a["score"] for answers in found for a in answers) for found in (both, *others)}
    assert len(scores) == 3
    assert same(
        told(question="¿Quién?", context=PASSAGE, top_k=5, lang="es", question_lang="en"), others[0][1]
    )


def test_languages_that_are_not_told(told: Answerer) -> None:
    for languages in ({}, {"question_lang": "es"}):
        with pytest.raises(ConfigError, match=r"must be told .*--lang .* Choices: ar, de, en, es, hi, vi\."):
            told(question=QUESTION, context=PASSAGE, **languages)
    for languages in ({"lang": "fr"}, {"lang": "en", "question_lang": "fr"}):
        with pytest.raises(ConfigError, match="'fr': the model does not know it; choices: ar, de, en"):
            told(question=QUESTION, context=PASSAGE, **languages)


def test_a_tokenizer_that_must_be_told_though_the_model_need_not(
    tiny_xlm_folder: Path, tmp_path: Path
) -> None:
    """As of xlm-mlm-100-1280: Moses splits each language by rules of its own."""
    folder = shutil.copytree(tiny_xlm_folder, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text()) | {"use_lang_emb": False}
    (folder / "config.json").write_text(json.dumps(config))
    plain = Answerer(folder)
    with pytest.raises(ConfigError, match=r"must be told .* Choices: ar, de, en, es, hi, vi\."):
        plain(question=QUESTION, context=PASSAGE)
    assert plain.loaded.template.languages is None
    asked = {"question": QUESTION, "top_k": 3}
    assert plain(context="cats", lang="de", **asked) == plain(context="cats", lang="en", **asked)
    quoted = 'Er sagt "Ja", l\'eau.'
    assert plain(context=quoted, lang="de", **asked) != plain(context=quoted, lang="en", **asked)


def test_languages_that_nobody_asked_for(answerer: Answerer) -> None:
    for languages in ({"lang": "en"}, {"question_lang": "en"}):
        with pytest.raises(
            ConfigError, match=r"'en'.*: this model takes no languages; leave both out \(--lang"
        ):
            answerer(question=QUESTION, context=PASSAGE, **languages)
