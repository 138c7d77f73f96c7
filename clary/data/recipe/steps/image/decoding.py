"""Images in a column. Every image step takes any of these forms, and gives the last form:

encoded  binary: a PNG, JPEG, GIF, BMP, TIFF, WebP or PPM file. Of several frames the first counts; an image is
         rotated as its EXIF data demand
lists    list<list<number>>: (height, width); list<list<list<number>>>: (height, width, channels); or a flat list
         or a fixed-shape tensor, its shape given by the step's `shape` or the type
decoded  struct<pixels: large_binary, height: int32, width: int32, channels: int32, type: string>: the pixels in C
         order (height, width, channels), channels being 1 (grey), 3 (RGB) or 4 (RGBA), or any number from lists;
         type "uint8" (0 to 255) or "float32" (from images of 16 bits and more, and lists of other numbers)
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from clary.data.errors import StepError
from clary.data.recipe.steps.image.pixels import Pixels
from clary.data.recipe.steps.media import InvalidMedia, bytes_of, is_bytes, is_form, needed

IMAGE = pa.struct(
    [
        ("pixels", pa.large_binary()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("channels", pa.int32()),
        ("type", pa.string()),
    ]
)
MAX_PIXELS = 89_478_485  # Pillow's own limit against images that are small as files and huge in memory
# No format that runs another program (EPS) or reads another file.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
_TYPES: dict[str, np.dtype[Any]] = {"uint8": np.dtype(np.uint8), "float32": np.dtype(np.float32)}
_CHANNELS = {"1": 1, "L": 1, "I": 1, "F": 1, "RGB": 3, "CMYK": 3, "YCbCr": 3, "LAB": 3, "HSV": 3}
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap height and width
_ORIENTATION = 0x0112


def pixels_of(value: pa.Scalar, shape: tuple[int, ...] = ()) -> Pixels:
    """A row's image. Raises InvalidMedia; StepError where the column is of no such form."""
    given = value.type
    if is_form(given, IMAGE):
        return _decoded(value)
    if is_bytes(given):
        return _opened(value)
    return _listed(value, shape)


def shape_of(value: pa.Scalar, shape: tuple[int, ...] = ()) -> tuple[int, int, int]:
    """(height, width, channels), of an encoded image without decoding it. Raises as `pixels_of`."""
    if not is_bytes(value.type):
        found = pixels_of(value, shape).shape
        return found[0], found[1], found[2]
    with _open(value) as image:
        width, height = image.size
        try:
            turned = image.getexif().get(_ORIENTATION) in _TURNED
        except Exception as error:  # as in `_opened`
            raise InvalidMedia(f"the image cannot be decoded: {error}") from None
        return (width, height, _channels(image)) if turned else (height, width, _channels(image))


def packed(images: Sequence[Pixels | None]) -> pa.Array:
    """Decoded images as a column."""
    shapes = [(0, 0, 0) if image is None else image.shape for image in images]
    numbers = [pa.array([shape[axis] for shape in shapes], pa.int32()) for axis in range(3)]
    data = [None if image is None else np.ascontiguousarray(image).tobytes() for image in images]
    types = ["uint8" if image is None else image.dtype.name for image in images]
    return pa.StructArray.from_arrays(
        [pa.array(data, pa.large_binary()), *numbers, pa.array(types, pa.string())],
        fields=list(IMAGE),
        mask=pa.array([image is None for image in images], pa.bool_()),
    )


def _decoded(value: pa.Scalar) -> Pixels:
    height, width, channels = (value[name].as_py() for name in ("height", "width", "channels"))
    kind = _TYPES.get(str(value["type"].as_py()))
    if not value["pixels"].is_valid or kind is None or not all((height, width, channels)):
        raise InvalidMedia("its height, width, channels, type or pixels are missing")
    if min(height, width, channels) < 1 or len(bytes_of(value["pixels"])) != height * width * channels * kind.itemsize:
        raise InvalidMedia(f"its pixels are not those of {height} × {width} × {channels}")
    pixels: Pixels = np.frombuffer(bytes_of(value["pixels"]), kind).reshape(height, width, channels)
    return pixels


def _opened(value: pa.Scalar) -> Pixels:
    image_ops = needed("PIL.ImageOps", "pillow", "decoding images")
    with _open(value) as image:
        try:
            turned = image_ops.exif_transpose(image)
            channels, mode = _channels(turned), turned.mode
            if mode in ("I", "F") or mode.startswith("I;16"):
                made = np.asarray(turned).astype(np.float32)
            elif channels == 1:
                made = np.asarray(turned.convert("L"))
            else:
                made = np.asarray(turned.convert("RGB" if channels == 3 else "RGBA"))
        except Exception as error:  # what Pillow's many readers raise for a broken file is not documented
            raise InvalidMedia(f"the image cannot be decoded: {error}") from None
    return made.reshape(made.shape[0], made.shape[1], channels)


def _open(value: pa.Scalar) -> Any:
    """The image, its header read and its size checked."""
    pil_image = needed("PIL.Image", "pillow", "decoding images")
    try:
        image = pil_image.open(io.BytesIO(bytes_of(value)), formats=FORMATS)
        width, height = image.size
    except (pil_image.DecompressionBombError, pil_image.DecompressionBombWarning):
        raise InvalidMedia(f"the image has more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:
        size = len(bytes_of(value))
        raise InvalidMedia(
            f"its {size} bytes are not an image in {', '.join(FORMATS)} ({type(error).__name__})"
        ) from None
    if width * height > MAX_PIXELS:
        raise InvalidMedia(f"the image has more than {MAX_PIXELS:,} pixels: {width} × {height}")
    return image


def _channels(image: Any) -> int:
    """What it has once it is decoded: palettes become colours, transparency a channel of its own."""
    mode = str(image.mode)
    if mode == "P":
        return 4 if "transparency" in image.info else 3
    return 1 if mode.startswith("I;16") else _CHANNELS.get(mode, 4)


def _listed(value: pa.Scalar, shape: tuple[int, ...]) -> Pixels:
    given = value.type
    if isinstance(given, pa.FixedShapeTensorType):
        inner, shape = given.value_type, tuple(shape or given.shape)
        values = value.to_numpy().ravel()
    else:
        inner, depth = given, 0
        while pa.types.is_list(inner) or pa.types.is_large_list(inner) or pa.types.is_fixed_size_list(inner):
            inner, depth = inner.value_type, depth + 1
        if not depth or not (pa.types.is_integer(inner) or pa.types.is_floating(inner)):
            raise StepError(f"it holds {given}: neither files nor lists of numbers")
        if depth == 1 and not shape:
            raise StepError("it holds flat lists; give the step their `shape`: [height, width] or with channels")
        try:
            values = np.array(value.as_py(), np.float64)
        except (TypeError, ValueError):
            raise InvalidMedia("its lists are not all of one length") from None
        if depth > 1:
            shape = values.shape
    if len(shape) not in (2, 3) or values.size != int(np.prod(shape)) or not values.size:
        raise InvalidMedia(f"its {values.size} numbers are not an image of shape {tuple(shape)}")
    if not np.isfinite(values).all():
        raise InvalidMedia("some of its numbers are missing or infinite")
    pixels: Pixels = values.reshape(*shape, 1) if len(shape) == 2 else values.reshape(shape)
    whole = pa.types.is_integer(inner) and pixels.min() >= 0 and pixels.max() <= 255
    kind: type[Any] = np.uint8 if whole else np.float32
    return pixels.astype(kind)
