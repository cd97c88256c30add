from training_fixtures import two_ranks

__all__ = ["two_ranks"]
