"""Images: path, label by folder, the encoded file, width, height and mode."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from clary.data.errors import ReadError
from clary.data.scans import Scan
from clary.data.sources.how import How
from clary.data.sources.media import BadFileError, scan_media
from clary.data.sources.origin import Origin

OPTIONS: frozenset[str] = frozenset()
TYPES = pa.schema([("width", pa.int64()), ("height", pa.int64()), ("mode", pa.string())])


def scan(origins: Sequence[Origin], how: How) -> Scan:
    """Raises ReadError."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise ReadError("reading images needs the package pillow: pip install 'clary[media]'") from None
    return scan_media(origins, how, "image", facts, TYPES)


def facts(data: bytes) -> dict[str, Any]:
    """By the header; the pixels are not decoded, but what guards them is checked. Raises BadFileError."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # nothing is decompressed here
            with Image.open(io.BytesIO(data)) as image:
                width, height, mode = image.width, image.height, image.mode
                image.verify()
    except Exception as error:  # Pillow's decoders raise whatever a broken file makes them trip over
        raise BadFileError(f"no image ({type(error).__name__})") from None
    return {"width": width, "height": height, "mode": mode}
