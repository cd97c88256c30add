"""One file fetched from an address or a folder: retried, resumed and checked by sha256."""

import shutil
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from lbkd.datasets.sources import Source
from lbkd.errors import ConfigError, DataError
from lbkd.progress import Progress
from lbkd.workspace import file_hash

if TYPE_CHECKING:
    import httpx2

_TIMEOUT = 30.0
"""Seconds without data after which a connection counts as broken."""
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds to wait after the first, second, ... attempt in a row that brought no byte."""
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
"""HTTP statuses after which another attempt may succeed."""


class LackingError(DataError):
    """The mirror or the official address does not have a file, or has another one of its name."""


def fetch(source: Source, part: Path, mirror: str | None, progress: Progress) -> None:
    """Fetch a source into the file `part`, or complete a `part` that an earlier call left incomplete.

    Args:
        source: the file, with its size and checksum.
        part: file to write; after the last failed attempt, the file keeps the bytes received so far.
        mirror: an address or a folder that has the file under its official name; None: the official address.
        progress: called after every piece with the file's name, the bytes received and the size in bytes.

    Raises:
        ConfigError: the mirror is neither a folder nor an address.
        DataError: the file cannot be fetched.
        LackingError: there is no such file, or its size or checksum is wrong.
    """
    if mirror is None or mirror.startswith(("http://", "https://")):
        address = source.address if mirror is None else f"{mirror.rstrip('/')}/{source.name}"
        _download(address, source, part, progress)
    elif Path(mirror).is_dir():
        _copy(Path(mirror) / source.name, source, part)
        progress(source.name, source.size, source.size, {})
    else:
        raise ConfigError(f"--mirror {mirror!r} is neither a folder nor an http:// or https:// address.")


def _copy(file: Path, source: Source, part: Path) -> None:
    if not file.is_file():
        raise LackingError(f"{file}: no such file. The mirror must have {source.name} under this name.")
    shutil.copyfile(file, part)
    found = f"{part.stat().st_size:,} bytes, sha256 {file_hash(part)}"
    if found != (wanted := f"{source.size:,} bytes, sha256 {source.sha256}"):
        part.unlink()
        raise LackingError(_other(str(file), found, wanted))


def _download(address: str, source: Source, part: Path, progress: Progress) -> None:
    import httpx2

    # A compressed response could not be resumed, and its length would differ from the file's size.
    headers = {"Accept-Encoding": "identity"}
    try:
        reading = httpx2.Client(headers=headers, timeout=_TIMEOUT, follow_redirects=True)
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        reason = str(error).rstrip(".")
        raise DataError(
            f"The proxy of the environment (ALL_PROXY, HTTPS_PROXY, HTTP_PROXY) cannot be used: {reason}. "
            "Unset it, or name a folder with --mirror."
        ) from error
    with reading as client:
        for again in (True, False):
            in_one_piece = _complete(client, address, source, part, progress)
            if (found := file_hash(part)) == source.sha256:
                return
            part.unlink()
            if (
                in_one_piece or not again
            ):  # the pieces may come from two versions: fetch once more from byte 0
                raise LackingError(_other(address, f"sha256 {found}", f"sha256 {source.sha256}"))


def _complete(client: "httpx2.Client", address: str, source: Source, part: Path, progress: Progress) -> bool:
    """Fill `part` to the source's size; true if a single response brought the whole file."""
    best, pauses, in_one_piece = -1, iter(_PAUSES), False
    while (have := _size(part)) != source.size:
        if have > best:
            best, pauses = have, iter(_PAUSES)
        in_one_piece = have == 0
        problem = _receive(client, address, source, part, progress)
        if _size(part) == source.size:
            break
        pause = next(pauses, None)
        if pause is None:
            raise DataError(
                f"{address}: {problem}; {len(_PAUSES)} more tries brought nothing new.\n"
                f"{_size(part):,} of {source.size:,} bytes are here and kept: the same command goes on after "
                "them. --mirror names another address, or a folder with the file."
            )
        time.sleep(pause)
    return in_one_piece


def _receive(client: "httpx2.Client", address: str, source: Source, part: Path, progress: Progress) -> str:
    """Append one response to `part`, and return why the file is not complete after the response."""
    import httpx2

    have = _size(part)
    try:
        with client.stream("GET", address, headers={"Range": f"bytes={have}-"} if have else {}) as response:
            resumed = response.status_code == HTTPStatus.PARTIAL_CONTENT
            if response.status_code in _TRANSIENT:
                return f"the answer was {_status(response)}"
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or (
                resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            ):
                part.unlink(missing_ok=True)
                return "the server could not go on where the file broke off"
            _check_response(response, source, have if resumed else 0)
            have = have if resumed else 0
            with part.open("ab" if resumed else "wb") as file:
                for piece in response.iter_raw():
                    have += len(piece)
                    if have > source.size:
                        part.unlink()
                        raise LackingError(_other(address, "more", f"{source.size:,} bytes"))
                    file.write(piece)
                    file.flush()
                    progress(source.name, have, source.size, {})
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.TooManyRedirects) as error:
        raise DataError(f"{address}: {error}. Name another --mirror.") from error
    except httpx2.TransportError as error:
        return str(error) or type(error).__name__
    return f"the answer ended after {have:,} of {source.size:,} bytes"


def _check_response(response: "httpx2.Response", source: Source, start: int) -> None:
    """Raise DataError unless the response has the source's bytes from `start` on, judging by its headers."""
    address = str(response.url)
    if not response.is_success:
        message = f"{address}: the answer was {_status(response)}."
        raise LackingError(f"{message} --mirror names another address, or a folder that has {source.name}.")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise LackingError(
            f"{address}: a web page came instead of {source.name}, from a login or an error page perhaps. "
            "Open the address in a browser, or name a --mirror."
        )
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and start + int(length) != source.size:
        raise LackingError(_other(address, f"{start + int(length):,} bytes", f"{source.size:,} bytes"))


def _other(where: str, found: str, expected: str) -> str:
    """The message for a file that is not the source's."""
    return (
        f"{where}: not the expected file.\n  expected: {expected}\n  found:    {found}\n"
        "Nothing was put in place. Try again later, or name a --mirror that has the original."
    )


def _status(response: "httpx2.Response") -> str:
    return f"{response.status_code} {response.reason_phrase}".rstrip()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
