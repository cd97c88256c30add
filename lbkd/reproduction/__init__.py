"""Recipes and the tables that they describe: rows, runs and scores."""
