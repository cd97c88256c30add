"""The command that `lbkd run` ends with."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lbkd_cli.train import example

from lbkd.config import Settings


def test_the_shortest_question_with_its_passage_is_asked(wrote: Callable[[str, Any], Path]) -> None:
    paragraphs = [
        ("¿Quién la pintó?", "La pintó Remedios Varo.\nEn 1955."),
        ("¿Y?", "L'" * 20),
        ("Qui?", "Ana"),
    ]
    corpus = wrote(
        "test.es.json",
        {
            "version": "1.1",
            "data": [
                {
                    "title": "t",
                    "paragraphs": [
                        {
                            "context": passage,
                            "qas": [
                                {
                                    "id": question,
                                    "question": question,
                                    "answers": [{"text": passage[:2], "answer_start": 0}],
                                }
                            ],
                        }
                        for question, passage in paragraphs
                    ],
                }
            ],
        },
    ).parent
    settings = Settings.model_validate({"corpus": {"dir": corpus, "languages": ["es"], "source": "es"}})
    assert shlex.split(example(settings)) == ["--question", "Qui?", "--passage", "Ana"]
