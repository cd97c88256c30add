from training_fixtures import process_group, small_machine

__all__ = ["process_group", "small_machine"]
