"""Scores made probabilities that an answer is right."""
