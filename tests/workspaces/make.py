"""Writes a small workspace with this version of lbkd: `python tests/workspaces/make.py tests/workspaces/0.2`.

All paths in it are relative, so it is used from its own folder. What a command makes again by itself is left
out: tokens, packed texts, the report and the log.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertForQuestionAnswering, BertTokenizer

TEXTS = {
    "en": (("Ada met Bo in Rome.", "Where?", "Rome"), ("Eva has two cats.", "What?", "two cats")),
    "es": (("Ada vio a Bo en Roma.", "Donde?", "Roma"), ("Eva tiene dos gatos.", "Que?", "dos gatos")),
}
SETTINGS = """
workspace = "work"
[corpus]
dir = "corpus"
languages = ["en", "es"]
zero_shot = []
[model]
name = "encoder"
max_length = 32
max_question_tokens = 8
window_step = 8
[training]
max_steps = 2
batch_size = 2
log_every = 1
[tracker]
name = []
"""


def write_corpus(folder: Path) -> None:
    """The first text of each language to learn from, the second one for the test."""
    folder.mkdir()
    for language, texts in TEXTS.items():
        for split, (passage, question, answer) in zip(("train", "test"), texts, strict=True):
            answers = [{"text": answer, "answer_start": passage.index(answer)}]
            asked = [{"id": split, "question": question, "answers": answers}]
            data = {"data": [{"title": "", "paragraphs": [{"context": passage, "qas": asked}]}]}
            (folder / f"{split}.{language}.json").write_text(json.dumps(data))


def write_encoder(folder: Path) -> None:
    """A random BERT, one layer, 8 wide; its pieces are letters."""
    letters = sorted(
        {letter for texts in TEXTS.values() for text in texts for part in text for letter in part.lower()}
    )
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    torch.manual_seed(1)
    BertForQuestionAnswering(config).save_pretrained(folder)
    BertTokenizer(vocab={piece: n for n, piece in enumerate(pieces)}).save_pretrained(folder)


def main() -> None:
    """Do all that a user does."""
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.chdir(folder)
    write_corpus(Path("corpus"))
    write_encoder(Path("encoder"))
    Path("lbkd.toml").write_text(SETTINGS.lstrip())
    sys.argv[1:] = ["run"]
    from lbkd_cli.main import main as lbkd

    try:
        lbkd()
    finally:
        for name in ("tokens", "report.html", "log.txt"):
            shutil.rmtree(Path("work") / name, ignore_errors=True)
            (Path("work") / name).unlink(missing_ok=True)
        shutil.rmtree("work/corpus", ignore_errors=True)


if __name__ == "__main__":
    main()
