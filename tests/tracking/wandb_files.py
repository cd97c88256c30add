"""What W&B wrote offline: records of its own protocol, in a log of LevelDB's format."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK, _HEADER = 32768, 7
_FIRST_PARTS = (1, 2)
"""Types of a whole record, and of the first part of one; the last part's are 1 and 4."""


def records(file: Path) -> Iterator[Any]:
    """The records of a `.wandb` file: after seven bytes, blocks of parts with checksum, length and type."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, whole = file.read_bytes(), _HEADER, b""
    assert data[:4] == b":W&B"
    while place + _HEADER <= len(data):
        if _BLOCK - place % _BLOCK < _HEADER:
            place += _BLOCK - place % _BLOCK
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        place += _HEADER
        whole = (b"" if kind in _FIRST_PARTS else whole) + data[place : place + length]
        place += length
        if kind in (1, 4):
            record = Record()
            record.ParseFromString(whole)
            yield record


def history(file: Path) -> list[dict[str, Any]]:
    """The lines of a run's history, without W&B's own times."""
    lines = []
    for record in records(file):
        if record.HasField("history"):
            items = {
                "/".join(item.nested_key) or item.key: json.loads(item.value_json)
                for item in record.history.item
            }
            lines.append({k: v for k, v in items.items() if k not in ("_runtime", "_timestamp")})
    return lines


def ended(file: Path) -> bool:
    """Wait until the last record of a run is there: W&B's own process writes it a moment after `finish`."""
    from google.protobuf.message import DecodeError

    for _ in range(100):
        try:
            if any(record.HasField("exit") for record in records(file)):
                return True
        except (DecodeError, AssertionError):
            pass  # half a record, or nothing yet
        time.sleep(0.1)
    return False
