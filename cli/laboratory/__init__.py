"""The commands that compare models."""
