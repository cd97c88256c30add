"""The commands that compare runs."""
