"""Weightings that are wrong: kind, source, and parts of what must be told."""

from wrong_sources import weighting

EQUAL = "return torch.full_like(logits[:, :, 0], 1 / len(logits))"
DISTRIBUTION = "must be finite, at least 0, and sum to 1 over the teachers"

WEIGHTINGS = {
    "weights that sum to the teachers": (
        "weighting",
        weighting("return torch.ones_like(logits[:, :, 0])"),
        [DISTRIBUTION, "en 1, es 1, de 1 in example 1 of 3 (sum 3)", "a padded batch"],
    ),
    "weights of zero": (
        "weighting",
        weighting("return torch.zeros_like(logits[:, :, 0])"),
        [DISTRIBUTION, "en 0, es 0, de 0", "(sum 0)"],
    ),
    "a weight below zero": (
        "weighting",
        weighting("return torch.tensor([2.0, -1.0, 0.0])[:len(logits), None].expand(logits.shape[:2])"),
        [DISTRIBUTION, "en 2, es -1, de 0 in example 1"],
    ),
    "softmax over the examples": (
        "weighting",
        weighting("return logits.amax(-1).softmax(1)"),
        [DISTRIBUTION, "in example 1 of 3"],
    ),
    "one weight for all examples": (
        "weighting",
        weighting("return logits.amax((1, 2), keepdim=True)[:, :, 0].softmax(0)"),
        ["a float32 tensor of shape (3, 1)", "shape (3, 3) on cpu", "3 teachers (K) and 3 examples (B)"],
    ),
    "one teacher's weights": (
        "weighting",
        weighting("return torch.ones_like(logits[:1, :, 0])"),
        ["shape (1, 3)", "needed is a float32 tensor of shape (3, 3)"],
    ),
    "entropy at padding": (
        "weighting",
        weighting("p = logits.softmax(-1); return (p * logits.log_softmax(-1)).sum(-1).softmax(0)"),
        [DISTRIBUTION, "en nan, es nan, de nan in example 2", "Padding is -inf", "context.mask"],
    ),
    "whole numbers": (
        "weighting",
        weighting("return (logits.argmax(-1) * 0 + 1)"),
        ["a int64 tensor of shape (3, 3)", "needed is a float32"],
    ),
    "a list": ("weighting", weighting("return [1.0]"), ["`weights` returns a list; needed is a float32"]),
    "nothing": ("weighting", weighting("pass"), ["`weights` returns a NoneType"]),
    "logits changed in place": (
        "weighting",
        weighting("logits.mul_(50); " + EQUAL),
        ["changes its argument logits in place", "logits.clone()"],
    ),
    "logits changed behind autograd": (
        "weighting",
        weighting("logits.data[0] = 0; " + EQUAL),
        ["changes its arguments, which others read too"],
    ),
    "a parameter of a weighting": (
        "weighting",
        weighting(EQUAL, "    def __init__(self):\n        self.scale = nn.Parameter(torch.ones(()))"),
        ["'scale' holds a trainable torch.nn.Parameter", "learn it in `fit`"],
    ),
    "a network in a weighting": (
        "weighting",
        weighting(EQUAL, "    def __init__(self):\n        self.gate = [nn.Linear(2, 2)]"),
        ["'gate' holds a trainable", "requires_grad_(False)"],
    ),
    "an exception": (
        "weighting",
        weighting("return logits.no_such_thing"),
        ["weighting 'mine' of wrong.py: `weights` raised AttributeError", "no_such_thing", " in weights"],
    ),
    "an error of the system": (
        "weighting",
        weighting("open('/nowhere/weights.txt')"),
        ["`weights` raised FileNotFoundError: [Errno 2]", "/nowhere/weights.txt", " in weights"],
    ),
    "the program's end": ("weighting", weighting("raise SystemExit(0)"), ["`weights` raised SystemExit: 0"]),
    "weights by the other examples": (
        "weighting",
        weighting("return (logits.amax(-1) - logits.amax(-1).mean(1, keepdim=True)).softmax(0)"),
        ["other examples of the batch change its weights", "each example counts by itself"],
    ),
    "weights by the padding": (
        "weighting",
        weighting("return (logits.amax(-1) * logits.shape[-1]).softmax(0)"),
        ["more padding changes its weights"],
    ),
    "a fit without numbers": (
        "weighting",
        weighting(EQUAL, "    def fit(self, examples):\n        return None"),
        ["`fit` returns None; needed is a dictionary of numbers by name"],
    ),
    "a fit that learns what no checkpoint can hold": (
        "weighting",
        weighting(EQUAL, "    def fit(self, examples):\n        self.rule = lambda: 1\n        return {}"),
        ["weighting 'mine' of wrong.py: checkpoints cannot hold its attributes rule"],
    ),
    "a constructor that fails": (
        "weighting",
        weighting(EQUAL, "    def __init__(self, rate: float = 0.0):\n        self.rate = 1 / rate"),
        ["its constructor raised ZeroDivisionError", " in __init__"],
    ),
    "weights by the teachers' places": (
        "weighting",
        weighting(
            "first = torch.arange(len(logits))[:, None] == 0; return first.expand(logits.shape[:2]).float()"
        ),
        ["the order of the teachers changes their weights, by 1: go by logits and context.teachers"],
    ),
    "what the next teacher says": (
        "weighting",
        weighting("return logits.amax(-1).roll(1, 0).softmax(0)"),
        ["the order of the teachers changes their weights", "a padded batch"],
    ),
    "exp of large logits": (
        "weighting",
        weighting("e = logits.exp().amax(-1); return e / e.sum(0)"),
        [DISTRIBUTION, "en nan", "large logits in half precision"],
    ),
    "a share of what may be zero": (
        "weighting",
        weighting("p = logits.softmax(-1); d = (p - p.mean(0)).abs().sum(-1) ** 2; return d / d.sum(0)"),
        [DISTRIBUTION, "en nan", "in example 1 of 3"],
    ),
    "a mean over the other teachers": (
        "weighting",
        weighting(
            "k = len(logits); m = logits.amax(-1); return ((m.sum(0) - m) / (k - 1) - m).neg().softmax(0)"
        ),
        [DISTRIBUTION, "en nan", "a single teacher"],
    ),
    "a batch of one squeezed": (
        "weighting",
        weighting("return logits.amax(-1).squeeze().softmax(0)"),
        ["a float32 tensor of shape (3,)", "needed is a float32 tensor of shape (3, 1)"],
    ),
    "a type that names nothing": (
        "weighting",
        weighting(EQUAL, "    def __init__(self, rate: 'Rate' = 1):\n        pass"),
        ["its constructor raised NameError: name 'Rate' is not defined"],
    ),
}
