"""What runs have learned, as one page and as plots."""
