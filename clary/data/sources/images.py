"""Images: path, label by folder, the encoded file, width, height and mode."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from clary.data.errors import ReadError
from clary.data.scans import Scan
from clary.data.sources.input_file import InputFile
from clary.data.sources.media import BadFileError, scan_media
from clary.data.sources.read_options import ReadOptions

OPTIONS: frozenset[str] = frozenset()
TYPES = pa.schema([("width", pa.int64()), ("height", pa.int64()), ("mode", pa.string())])


def scan(files: Sequence[InputFile], options: ReadOptions) -> Scan:
    """A row for each file. Raises ReadError."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise ReadError("reading images needs the package pillow: pip install 'clary[media]'") from None
    return scan_media(files, options, "image", metadata, TYPES)


def metadata(data: bytes) -> dict[str, Any]:
    """Width, height and mode, by the header; pixels are not decoded, but checksums verified. Raises BadFileError."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # nothing is decompressed here
            with Image.open(io.BytesIO(data)) as image:
                width, height, mode = image.width, image.height, image.mode
                image.verify()
    except Exception as error:  # Pillow's decoders raise errors of many types for broken files
        raise BadFileError(f"not an image ({type(error).__name__})") from None
    return {"width": width, "height": height, "mode": mode}
