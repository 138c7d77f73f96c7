"""Which formats there are, and which of them a file has: by its name, then by its first bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any, cast

from clary.data.errors import ReadError
from clary.data.scans import Scan
from clary.data.sources.input_file import InputFile
from clary.data.sources.read_options import ReadOptions

HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Format:
    """module    of clary.data.sources; its `scan(file, options)` reads a file, its OPTIONS are the format's
    together  whether all files become a table in a single call: `scan(files, options)`
    """

    name: str
    module: str
    endings: tuple[str, ...]
    magic: tuple[bytes, ...] = ()
    together: bool = False

    @property
    def options(self) -> frozenset[str]:
        return cast("frozenset[str]", self._module().OPTIONS)

    @property
    def scan(self) -> Callable[[Any, ReadOptions], Scan]:
        return cast("Callable[[Any, ReadOptions], Scan]", self._module().scan)

    def _module(self) -> Any:
        return import_module(f"clary.data.sources.{self.module}")


FORMATS = (
    Format("csv", "delimited", (".csv", ".tsv", ".tab", ".psv")),
    Format("parquet", "parquet", (".parquet", ".parq", ".pq"), (b"PAR1",)),
    Format("jsonl", "jsonlines", (".jsonl", ".ndjson", ".jsonlines")),
    Format("json", "json", (".json",)),
    Format("excel", "excel", (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")),
    Format("feather", "ipc", (".feather", ".arrow", ".ipc", ".arrows"), (b"ARROW1", b"FEA1", b"\xff\xff\xff\xff")),
    Format("orc", "orc", (".orc",), (b"ORC",)),
    Format("pickle", "pickle", (".pkl", ".pickle"), (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")),
    Format("numpy", "numpy", (".npy", ".npz"), (b"\x93NUMPY",)),
    Format("hdf5", "hdf5", (".h5", ".hdf5", ".hdf", ".he5"), (b"\x89HDF\r\n\x1a\n",)),
    Format("sqlite", "sql", (".sqlite", ".sqlite3", ".db"), (b"SQLite format 3\0",)),
    Format("fixed", "fixed", (".fwf",)),
    Format("libsvm", "libsvm", (".libsvm", ".svm", ".svmlight")),
    Format("recordio", "recordio", (".recordio", ".rec", ".pbr"), (b"\x0a\x23\xd7\xce",)),
    Format("images", "images", (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"), (), True),
    Format("audio", "audio", (".wav", ".flac", ".ogg"), (), True),
)
BY_NAME = {known.name: known for known in FORMATS} | {
    "tsv": FORMATS[0],
    "arrow": FORMATS[5],
    "recordio-protobuf": FORMATS[13],
}
_BY_ENDING = {ending: known for known in FORMATS for ending in known.endings}
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_AUDIO = (b"fLaC", b"OggS")


def named(name: str) -> Format:
    """Raises ReadError."""
    try:
        return BY_NAME[name]
    except KeyError:
        raise ReadError(f"format={name!r} is unknown; choose one of {', '.join(BY_NAME)}") from None


def format_of(file: InputFile) -> Format:
    """The format of a file. Raises ReadError where neither its name nor its first bytes show it."""
    found = _BY_ENDING.get(PurePosixPath(file.filename.lower()).suffix)
    if found is not None:
        return found
    head = file.head(HEAD_BYTES)
    for known in FORMATS:
        if any(head.startswith(magic) for magic in known.magic):
            return known if known.name != "excel" or not _is_npz(head) else BY_NAME["numpy"]
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return BY_NAME["images"]
    if head.startswith(_AUDIO) or (head[:4] == b"RIFF" and head[8:12] == b"WAVE"):
        return BY_NAME["audio"]
    if found := _text(head):
        return found
    raise ReadError(
        f"{file.name}: neither its name nor its first bytes show its format; give format=, one of {', '.join(BY_NAME)}"
    )


def _is_npz(head: bytes) -> bool:
    return head[30:].split(b"\0", 1)[0][:200].find(b".npy") >= 0


def _text(head: bytes) -> Format | None:
    """JSON, JSON Lines, libsvm or delimited text, by the first lines."""
    from clary.data.sources.encoding import encoding_of

    if not head:
        return None
    encoding = encoding_of(head, None, [])
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    if any(ord(letter) < 32 and letter not in "\t\r\n\f" for letter in text[:4096]):
        return None
    content = text.lstrip()
    if content.startswith("{"):
        line = content.split("\n", 1)
        return (
            BY_NAME["jsonl"]
            if line[0].rstrip().endswith("}") and len(line) > 1 and line[1][:1] == "{"
            else BY_NAME["json"]
        )
    if content.startswith("[") and content[1:].lstrip()[:1] in ("{", "[", "]"):
        return BY_NAME["json"]
    lines = [line for line in content.splitlines()[:20] if line.strip()]
    if lines and all(_is_libsvm(line) for line in lines):
        return BY_NAME["libsvm"]
    return BY_NAME["csv"]


def _is_libsvm(line: str) -> bool:
    import re

    return re.fullmatch(r"\s*[+-]?[\d.eE+-]+(\s+(qid|\d+):[+-]?[\d.eE+-]+)+\s*(#.*)?", line) is not None
