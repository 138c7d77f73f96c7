"""Statistics of images: how large, how bright, how sharp, how colourful."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from clary.data.batch import Batch, Field, Kind, Schema
from clary.data.recipe.step import Fitting, step
from clary.data.recipe.steps.features import check_free, columns_of
from clary.data.recipe.steps.image.decoding import pixels_of
from clary.data.recipe.steps.image.pixels import Pixels, converted
from clary.data.recipe.steps.image.transforms import ImageStep
from clary.data.recipe.steps.media import PerRow, stacked

STATISTICS = ("width", "height", "channels", "mean", "std", "min", "max", "entropy", "sharpness", "colourfulness")


@step
@dataclass(frozen=True, kw_only=True)
class ImageStatistics(ImageStep):
    """Ten statistics of each image, of any size: photo_width, photo_height, photo_channels; of its grey values _mean,
    _std, _min, _max, _entropy (bits, of 256 steps), _sharpness (variance of the Laplacian); and _colourfulness.

    keep_columns  whether the images stay
    shape, errors  as in `image_resize`
    Reference     Hasler & Süsstrunk (2003), Measuring colourfulness in natural images, SPIE 5007, 87-95.
    """

    name = "image_statistics"

    keep_columns: bool = False

    def fitting(self, schema: Schema) -> Fitting:
        yield []  # nothing is learnt
        names = self.some_chosen(schema)
        fitted = FittedStatistics(names, self.errors, self.shape, self.keep_columns)
        check_free(schema, fitted.removed, [field.name for field in fitted.made])
        return fitted


@dataclass(frozen=True)
class FittedStatistics(PerRow):
    shape: tuple[int, ...]
    keep_columns: bool

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(f"{name}_{statistic}", Kind.NUMBER) for name in self.names for statistic in STATISTICS)

    @property
    def removed(self) -> tuple[str, ...]:
        return () if self.keep_columns else self.names

    def transform(self, batch: Batch) -> Batch:
        made: dict[str, Any] = {}
        for name in self.names:
            rows = self.rows_of(batch, name, _statistics, lambda value: pixels_of(value, self.shape))
            matrix = stacked(cast("list[Any]", rows), len(STATISTICS))
            made |= columns_of(matrix, [f"{name}_{statistic}" for statistic in STATISTICS])
        return batch.replaced(self.removed, made)


def _statistics(pixels: Pixels) -> tuple[float, ...]:
    from scipy import ndimage

    grey = converted(pixels, "L")[:, :, 0]
    values = grey.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    steps = (0.0, 256.0) if grey.dtype == np.uint8 else (low, high if high > low else low + 1.0)
    share = np.histogram(values, 256, steps)[0] / values.size
    share = share[share > 0]
    height, width, channels = pixels.shape
    return (
        float(width),
        float(height),
        float(channels),
        float(values.mean()),
        float(values.std()),
        low,
        high,
        float(-(share * np.log2(share)).sum()) + 0.0,
        float(ndimage.laplace(values).var()),
        _colourfulness(pixels),
    )


def _colourfulness(pixels: Pixels) -> float:
    if pixels.shape[2] < 3:
        return 0.0
    red, green, blue = (pixels[:, :, place].astype(np.float64) for place in range(3))
    first, second = red - green, (red + green) / 2 - blue
    return float(np.hypot(first.std(), second.std()) + 0.3 * np.hypot(first.mean(), second.mean()))
