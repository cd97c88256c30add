"""A campaign of faults: what `lbkd` does when it is killed, stopped, damaged, starved or crowded.

    python -m benchmarks.faults [--kinds kill,signal,...] [--seed N] [--times N] [--quick]

A trial is good where each command ends with an exit code of docs/cli.md and a sentence instead of a
traceback, where nothing that was finished is lost, and where the same command, undisturbed at last, leaves
byte for byte what a command leaves that was never disturbed; or where damage is told before it is used.

The corpus is small: two languages, two passages, an encoder of two layers with random weights.
"""
