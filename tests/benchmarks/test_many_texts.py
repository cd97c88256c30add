"""The corpora of `benchmarks.many_texts`, made small."""

from pathlib import Path

import pytest

from benchmarks.made_up import build, paths
from benchmarks.many_texts import CASES


@pytest.mark.parametrize("name", CASES)
def test_a_corpus_is_what_its_name_says(name: str, tmp_path: Path) -> None:
    case = CASES[name].smaller()
    size = case.write(tmp_path)
    assert size == sum(path.stat().st_size for path in paths(tmp_path, case.languages).values())
    features = build(tmp_path, case.languages)
    assert len(features.languages) == case.languages
    assert len(features.corpus.question_ids) == case.passages * case.questions
    assert {len(id_) for id_ in features.corpus.question_ids} == {case.id_bytes}
    data = features.corpus.datasets["l000"]
    assert [len(text.split()) for text in data.passages] == [case.words] * case.passages
    assert features.ceilings()["l000"].share == 1
