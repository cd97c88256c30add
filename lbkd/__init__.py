"""lbkd: cross-lingual reading comprehension by language branch knowledge distillation."""

__version__ = "0.1.0"
