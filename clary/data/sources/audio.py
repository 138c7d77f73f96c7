"""Recordings: path, label by folder, the encoded file, sampling rate, channels and length."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from clary.data.errors import ReadError
from clary.data.scans import Scan
from clary.data.sources.input_file import InputFile
from clary.data.sources.media import BadFileError, scan_media
from clary.data.sources.read_options import ReadOptions

OPTIONS: frozenset[str] = frozenset()
TYPES = pa.schema([("rate", pa.int64()), ("channels", pa.int64()), ("seconds", pa.float64())])


def scan(files: Sequence[InputFile], options: ReadOptions) -> Scan:
    """A row for each file; `rate` is in samples a second. Raises ReadError."""
    try:
        import soundfile  # noqa: F401
    except (ImportError, OSError):  # OSError: libsndfile itself is missing
        raise ReadError("reading audio needs the package soundfile: pip install 'clary[media]'") from None
    return scan_media(files, options, "audio", metadata, TYPES)


def metadata(data: bytes) -> dict[str, Any]:
    """Rate, channels and length, by the file's header. Raises BadFileError."""
    import soundfile

    try:
        info = soundfile.info(io.BytesIO(data))
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise BadFileError(f"not a recording ({error})") from None
    return {"rate": info.samplerate, "channels": info.channels, "seconds": info.frames / info.samplerate}
