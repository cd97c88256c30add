"""A process that answers questions for `answering`, by lbkd or by the pipeline of transformers 4.

Runs as a file, in an environment that may lack lbkd: `python answering_side.py lbkd|pipeline FOLDER`. Each
line of standard input is a JSON object with "question" and "context"; each line of standard output has
"answer", the "seconds" that a processor worked for it, and the "peak" of the process's memory in bytes.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any


def answerer(kind: str, folder: str) -> Callable[..., Any]:
    """Load the model."""
    if kind == "pipeline":
        import torch
        import transformers

        torch.set_num_threads(1)
        pipeline: Any = transformers.pipeline
        made: Callable[..., Any] = pipeline("question-answering", model=folder, tokenizer=folder)
        return made
    from lbkd.inference import Answerer

    return Answerer(folder)


def main() -> None:
    """Answer line by line."""
    ask = answerer(*sys.argv[1:])
    for line in sys.stdin:
        asked = json.loads(line)
        began = time.process_time()
        found = ask(question=asked["question"], context=asked["context"])
        seconds = time.process_time() - began
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"answer": found["answer"], "seconds": seconds, "peak": peak}), flush=True)


if __name__ == "__main__":
    main()
