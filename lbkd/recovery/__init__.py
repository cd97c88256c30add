"""Answers found again in translated or altered text: texts in, spans out."""
