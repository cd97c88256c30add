"""Archives for tests, with files and links of any name."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping


def packed_zip(files: Mapping[str, bytes], links: Mapping[str, str] = {}) -> bytes:  # noqa: B006
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for name, target in links.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    return buffer.getvalue()


def packed_tar(files: Mapping[str, bytes], links: Mapping[str, str] = {}) -> bytes:  # noqa: B006
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return buffer.getvalue()


PACKERS = {"pack.zip": packed_zip, "pack.tar.gz": packed_tar}
