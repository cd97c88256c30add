"""What ranks import, once for all of them: their processes are forks of one that did."""

import transformers.models.bert.modeling_bert  # noqa: F401

import lbkd.training.steps  # noqa: F401
from lbkd.engine.importing import import_deepspeed

import_deepspeed()
