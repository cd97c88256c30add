"""Ask a trained model."""

from lbkd.inference.answerer import Answerer

__all__ = ["Answerer"]
