"""Files of question answering corpora, as their authors publish them, converted to strict SQuAD JSON."""
