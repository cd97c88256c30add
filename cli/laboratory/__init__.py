"""Commands for comparing runs."""
