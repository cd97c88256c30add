"""A folder of SQuAD-format files translated into other languages, and answers put right."""
