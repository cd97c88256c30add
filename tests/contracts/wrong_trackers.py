"""Trackers that are wrong: kind, source, and parts of what must be told."""


def tracker(begin: str = "pass", log: str = "pass", end: str = "pass", more: str = "") -> str:
    """A tracker whose methods have these bodies."""
    return f"""
@tracker_registry.register("mine")
class Mine(Tracker):
{more}
    def begin(self, run):
        {begin}
    def log(self, step, numbers):
        {log}
    def end(self, finished):
        {end}
"""


WRONG_TRACKERS = {
    "a tracker that fails at once": (
        "tracker",
        tracker(begin="raise ConnectionError('nobody there')"),
        ["tracker 'mine' of wrong.py: `begin` raised ConnectionError: nobody there", " in begin"],
    ),
    "a tracker that calls the run 7": (
        "tracker",
        tracker(begin="return 7"),
        ["`begin` returns 7; needed is the run's identifier, a text, or None"],
    ),
    "a tracker that calls the run nothing": ("tracker", tracker(begin="return ''"), ["`begin` returns ''"]),
    "a tracker that prints": (
        "tracker",
        tracker(log="print('loss', numbers['loss'])"),
        ["`log` prints 'loss 2.5' on standard output, which is for results; use logging"],
    ),
    "a tracker that closes twice": (
        "tracker",
        tracker(
            end="if self.closed: raise ValueError('closed already')\n        self.closed = True",
            more="    closed = False",
        ),
        ["`end` raised ValueError: closed already", " in end"],
    ),
    "a tracker that takes no numbers": (
        "tracker",
        tracker().replace("step, numbers", "loss"),
        ["`log` raised TypeError", "positional argument"],
    ),
    "a tracker that empties the numbers": (
        "tracker",
        tracker(log="numbers.pop('loss')"),
        ["changes what it is given", "work on copies"],
    ),
    "a tracker that counts on real numbers": (
        "tracker",
        tracker(log="[round(number) for number in numbers.values()]"),
        ["`log` raised ValueError: cannot convert float NaN to integer"],
    ),
    "a tracker without an end": (
        "tracker",
        tracker().partition("    def end")[0],
        ["tracker 'mine' does not implement end"],
    ),
}
