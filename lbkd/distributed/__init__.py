"""Ranks: how they start, meet and talk to one another."""
