"""Recordings: path, label by folder, the encoded file, sampling rate, channels and length."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from clary.data.errors import ReadError
from clary.data.scans import Scan
from clary.data.sources.how import How
from clary.data.sources.media import BadFileError, scan_media
from clary.data.sources.origin import Origin

OPTIONS: frozenset[str] = frozenset()
TYPES = pa.schema([("rate", pa.int64()), ("channels", pa.int64()), ("seconds", pa.float64())])


def scan(origins: Sequence[Origin], how: How) -> Scan:
    """rate in samples a second. Raises ReadError."""
    try:
        import soundfile  # noqa: F401
    except (ImportError, OSError):  # OSError: the library beneath it is not there
        raise ReadError("reading audio needs the package soundfile: pip install 'clary[media]'") from None
    return scan_media(origins, how, "audio", facts, TYPES)


def facts(data: bytes) -> dict[str, Any]:
    """Raises BadFileError."""
    import soundfile

    try:
        found = soundfile.info(io.BytesIO(data))
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise BadFileError(f"no recording ({error})") from None
    return {"rate": found.samplerate, "channels": found.channels, "seconds": found.frames / found.samplerate}
