"""The tables of a recipe: which runs they need, and what came out."""
