"""Vocabularies cut down to what texts use."""
