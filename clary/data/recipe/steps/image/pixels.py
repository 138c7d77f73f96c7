"""What is done to one image: arrays of pixels in, arrays of pixels out. No column, no step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.recipe.steps.media import needed

Pixels = NDArray[Any]  # (height, width, channels), uint8 or float32

# ITU-R 601-2: the perceived brightness of red, green and blue; Pillow's own weights and arithmetic.
_LUMA = (0.299, 0.587, 0.114)


def resized(pixels: Pixels, width: int, height: int, resample: str, box: tuple[float, ...] | None = None) -> Pixels:
    """By Pillow, each channel for itself; box: the part that is taken (left, upper, right, lower)."""
    image = needed("PIL.Image", "pillow", "resizing images")
    filter_ = image.Resampling[resample.upper()]
    made = [
        np.asarray(image.fromarray(np.ascontiguousarray(pixels[:, :, place])).resize((width, height), filter_, box))
        for place in range(pixels.shape[2])
    ]
    return np.stack(made, axis=2)


def fitted_in(pixels: Pixels, width: int, height: int, resample: str) -> Pixels:
    """Cut to the ratio of width and height around the centre, then resized."""
    rows, columns = pixels.shape[:2]
    scale = min(columns / width, rows / height)
    left, upper = (columns - width * scale) / 2, (rows - height * scale) / 2
    return resized(pixels, width, height, resample, (left, upper, left + width * scale, upper + height * scale))


def padded(pixels: Pixels, width: int, height: int, resample: str) -> Pixels:
    """Resized as far as it goes whole, on black."""
    rows, columns = pixels.shape[:2]
    scale = min(width / columns, height / rows)
    inner = min(width, max(1, round(columns * scale))), min(height, max(1, round(rows * scale)))
    made = np.zeros((height, width, pixels.shape[2]), pixels.dtype)
    left, upper = (width - inner[0]) // 2, (height - inner[1]) // 2
    made[upper : upper + inner[1], left : left + inner[0]] = resized(pixels, *inner, resample)
    return made


def converted(pixels: Pixels, mode: str) -> Pixels:
    """To 1 (L), 3 (RGB) or 4 (RGBA) channels; transparency is left out, or full where there was none."""
    channels = pixels.shape[2]
    if mode == "L":
        return pixels[:, :, :1] if channels < 3 else _grey(pixels)
    colours = pixels[:, :, :3] if channels >= 3 else np.repeat(pixels[:, :, :1], 3, axis=2)
    if mode == "RGB":
        return np.ascontiguousarray(colours)
    opaque = 255 if pixels.dtype == np.uint8 else 1.0
    alpha = pixels[:, :, 3:4] if channels >= 4 else np.full((*pixels.shape[:2], 1), opaque, pixels.dtype)
    return np.concatenate([colours, alpha], axis=2)


def _grey(pixels: Pixels) -> Pixels:
    if pixels.dtype != np.uint8:
        made = sum(weight * pixels[:, :, place].astype(np.float64) for place, weight in enumerate(_LUMA))
        return np.asarray(made, np.float32)[:, :, None]
    # Pillow's fixed-point arithmetic: weights of 16 bits, rounded.
    red, green, blue = (pixels[:, :, place].astype(np.int32) for place in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).astype(np.uint8)[:, :, None]


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    """By a Gaussian of this standard deviation, in pixels."""
    from scipy import ndimage

    return as_before(ndimage.gaussian_filter(_float(pixels), (sigma, sigma, 0), mode="nearest"), pixels)


def smoothed(pixels: Pixels, size: int) -> Pixels:
    """Each pixel the median of the square of this size around it."""
    from scipy import ndimage

    return as_before(ndimage.median_filter(_float(pixels), (size, size, 1), mode="nearest"), pixels)


def edges(pixels: Pixels) -> Pixels:
    """How steep each pixel is: the Sobel operator's magnitude, as scikit-image's filters.sobel."""
    from scipy import ndimage

    values = _float(pixels)
    # Not ndimage.sobel, which would take the channels for a third direction. The weights add up to one on each side:
    # no edge is steeper than the pixels are bright.
    slopes = [
        ndimage.correlate1d(ndimage.correlate1d(values, (-1, 0, 1), axis), (0.25, 0.5, 0.25), 1 - axis)
        for axis in (0, 1)
    ]
    return as_before(np.hypot(slopes[0], slopes[1]) / np.sqrt(2), pixels)


def sharpened(pixels: Pixels, sigma: float, amount: float) -> Pixels:
    """Unsharp masking: what a Gaussian takes away is added, times `amount`."""
    from scipy import ndimage

    values = _float(pixels)
    soft = ndimage.gaussian_filter(values, (sigma, sigma, 0), mode="reflect")
    return as_before(values + amount * (values - soft), pixels)


def over(pixels: Pixels, threshold: float | None) -> Pixels:
    """255 (1.0 in float32) where a pixel is above the threshold, 0 elsewhere; None: Otsu's, of each channel."""
    high = 255 if pixels.dtype == np.uint8 else 1.0
    made = np.zeros_like(pixels)
    for place in range(pixels.shape[2]):
        channel = pixels[:, :, place]
        made[:, :, place][channel > (otsu(channel) if threshold is None else threshold)] = high
    return made


def otsu(channel: Pixels) -> float:
    """The threshold that leaves the least variance on its two sides; of 256 steps where pixels are float32.

    Reference  Otsu (1979), IEEE Transactions on Systems, Man, and Cybernetics 9(1), 62-66.
    """
    values = channel.ravel()
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low
    if channel.dtype == np.uint8:
        count, middle = np.bincount(values, minlength=256).astype(np.float64), np.arange(256.0)
    else:
        found, borders = np.histogram(values.astype(np.float64), 256, (low, high))
        count, middle = found.astype(np.float64), (borders[:-1] + borders[1:]) / 2
    below, above = np.cumsum(count), np.cumsum(count[::-1])[::-1]
    mean_below = np.cumsum(count * middle) / np.maximum(below, 1)
    mean_above = (np.cumsum((count * middle)[::-1]) / np.maximum(above[::-1], 1))[::-1]
    between = below[:-1] * above[1:] * (mean_below[:-1] - mean_above[1:]) ** 2
    return float(middle[int(between.argmax())])


def _float(pixels: Pixels) -> NDArray[np.float64]:
    return pixels.astype(np.float64)


def as_before(values: NDArray[np.float64], pixels: Pixels) -> Pixels:
    """In the images' own type: uint8 is rounded, and cut to 0 to 255."""
    if pixels.dtype == np.uint8:
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return values.astype(np.float32)
