"""The commands about finished models."""
