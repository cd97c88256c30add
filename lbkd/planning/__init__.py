"""Costs of a run before it starts: time, memory, disk."""
