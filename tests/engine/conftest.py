from training_fixtures import process_group, small_machine, two_ranks, workspace

__all__ = ["process_group", "small_machine", "two_ranks", "workspace"]
