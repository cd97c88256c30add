"""Where the numbers of a run are told: its own lines, and trackers."""
