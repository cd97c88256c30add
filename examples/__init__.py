"""Packages with a component each, which `lbkd new` copies under another name."""
