from finished_runs import copy, done
from phrase_lists import lists
from training_fixtures import process_group, small_machine, two_ranks, workspace

__all__ = ["copy", "done", "lists", "process_group", "small_machine", "two_ranks", "workspace"]
