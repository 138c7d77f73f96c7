"""Images made into numbers: their pixels, their outlines, their statistics."""

from __future__ import annotations

import functools
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Block, Field, Kind, Schema
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, check_choice, need, step
from clary.data.recipe.steps.features import check_free
from clary.data.recipe.steps.image import hog
from clary.data.recipe.steps.image.decoding import pixels_of
from clary.data.recipe.steps.image.pixels import Pixels
from clary.data.recipe.steps.image.sizes import Shapes
from clary.data.recipe.steps.image.transforms import ImageStep
from clary.data.recipe.steps.media import InvalidMedia, PerRow, counts, stacked
from clary.data.statistics.base import Statistic

MOST_FEATURES = 1_000_000  # of one image


@dataclass(frozen=True, kw_only=True)
class _ToBlock(ImageStep):
    """A step whose block has as many columns as follow from the common size of the images.

    keep_columns  whether the images stay
    """

    keep_columns: bool = False

    suffix: ClassVar[str]  # of the blocks' names

    def fitting(self, schema: Schema) -> Fitting:
        names = self.some_chosen(schema)
        sizes = yield from _sizes(names, self.shape, self.errors)
        kept = tuple(self._names(name, size) for name, size in zip(names, sizes, strict=True))
        for name, inner in zip(names, kept, strict=True):
            if not 0 < len(inner) <= MOST_FEATURES:
                size = " × ".join(map(str, sizes[names.index(name)]))
                raise StepError(f"images of {size} give {len(inner):,} numbers; resize them", column=name)
        fitted = self._fitted(names, sizes, kept)
        check_free(schema, fitted.removed, [name for field in fitted.made for name in (field.name, *field.names)])
        return fitted

    def _names(self, name: str, size: tuple[int, ...]) -> tuple[str, ...]:
        raise NotImplementedError

    def _fitted(
        self, names: tuple[str, ...], sizes: tuple[tuple[int, ...], ...], kept: tuple[tuple[str, ...], ...]
    ) -> ToBlock:
        raise NotImplementedError


def _sizes(
    names: tuple[str, ...], shape: tuple[int, ...], errors: str
) -> Generator[Sequence[Statistic[Any, Any]], Any, tuple[tuple[int, ...], ...]]:
    """The one size that all images of each column have. Raises StepError where they have several, or none."""
    found = yield [Shapes(name, shape, errors == "missing") for name in names]
    made = []
    for name, sizes in zip(names, found, strict=True):
        if not sizes:
            raise StepError("no row has an image", column=name)
        if len(sizes) > 1:
            shapes = [f"{' × '.join(map(str, size))} (row {row})" for size, row in list(sizes.items())[:3]]
            raise StepError(
                f"its images are not all of one height, width and number of channels: {', '.join(shapes)} …; "
                "put the steps `image_resize` and `image_convert` before this one",
                column=name,
            )
        made.append(next(iter(sizes)))
    return tuple(made)


@dataclass(frozen=True)
class ToBlock(PerRow):
    """sizes   (height, width, channels) of each column's images
    kept    names of each block's columns
    shape   of flat lists
    suffix  of the blocks' names
    """

    sizes: tuple[tuple[int, ...], ...]
    kept: tuple[tuple[str, ...], ...]
    shape: tuple[int, ...]
    suffix: str
    keep_columns: bool

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(
            Field(f"{name}_{self.suffix}", Kind.BLOCK, kept) for name, kept in zip(self.names, self.kept, strict=True)
        )

    @property
    def removed(self) -> tuple[str, ...]:
        return () if self.keep_columns else self.names

    def transform(self, batch: Batch) -> Batch:
        made = {}
        for name, size, kept in zip(self.names, self.sizes, self.kept, strict=True):
            rows = self.rows_of(batch, name, self.process, functools.partial(self._sized, size))
            made[f"{name}_{self.suffix}"] = Block(kept, stacked(rows, len(kept), self.dtype))
        return batch.replaced(self.removed, made)

    def _sized(self, size: tuple[int, ...], value: Any) -> Pixels:
        pixels = pixels_of(value, self.shape)
        if pixels.shape != size:
            had, wanted = (" × ".join(map(str, shape)) for shape in (pixels.shape, size))
            raise InvalidMedia(f"the image is {had}; the recipe was fitted on {wanted}")
        return pixels

    dtype: ClassVar[Any] = np.float64

    def process(self, pixels: Pixels) -> NDArray[Any]:
        """The numbers of one image."""
        raise NotImplementedError


@step
@dataclass(frozen=True, kw_only=True)
class ImageFlatten(_ToBlock):
    """Each pixel a column of numbers: photo_0_0, photo_0_1, … by row and column, and channel where there are several.

    The images have to be of one size: put `image_resize` before it. They are one block, photo_pixels, of float32,
    which holds pixels exactly.

    scale          what pixels are multiplied by: 0.00392156862745098 (1/255) brings them into [0, 1]
    keep_columns   whether the images stay
    shape, errors  as in `image_resize`
    """

    name = "image_flatten"
    suffix = "pixels"

    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        need(bool(np.isfinite(self.scale)) and self.scale != 0, "a number other than 0 is wanted", "scale")

    def _names(self, name: str, size: tuple[int, ...]) -> tuple[str, ...]:
        height, width, channels = size
        if height * width * channels > MOST_FEATURES:
            raise StepError(f"images of {height} × {width} × {channels} are too large; resize them", column=name)
        places = [(y, x) for y in range(height) for x in range(width)]
        if channels == 1:
            return tuple(f"{name}_{y}_{x}" for y, x in places)
        return tuple(f"{name}_{y}_{x}_{z}" for y, x in places for z in range(channels))

    def _fitted(self, names: Any, sizes: Any, kept: Any) -> ToBlock:
        return FittedFlatten(names, self.errors, sizes, kept, self.shape, self.suffix, self.keep_columns, self.scale)


@dataclass(frozen=True)
class FittedFlatten(ToBlock):
    scale: float

    dtype: ClassVar[Any] = np.float32

    def process(self, pixels: Pixels) -> NDArray[Any]:
        return (pixels.ravel() * self.scale).astype(np.float32)


@step
@dataclass(frozen=True, kw_only=True)
class ImageHog(_ToBlock):
    """Histograms of oriented gradients, the outlines in an image: columns photo_hog_1, …, one block photo_hog.

    Equals scikit-image's feature.hog. The images have to be of one size: put `image_resize` before it.

    orientations     bins of 180°
    pixels_per_cell  (rows, columns)
    cells_per_block  (rows, columns)
    block_norm       "L1", "L1-sqrt", "L2" or "L2-Hys"
    transform_sqrt   whether the square root of each pixel is taken first, against shadows
    keep_columns     whether the images stay
    shape, errors    as in `image_resize`
    Reference        Dalal & Triggs (2005), Histograms of oriented gradients for human detection, CVPR, 886-893.
    """

    name = "image_hog"
    suffix = "hog"

    orientations: int = 9
    pixels_per_cell: tuple[int, int] = (8, 8)
    cells_per_block: tuple[int, int] = (3, 3)
    block_norm: Literal["L1", "L1-sqrt", "L2", "L2-Hys"] = "L2-Hys"
    transform_sqrt: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("block_norm", self.block_norm, hog.BLOCK_NORMS)
        counts("orientations", self.orientations, most=360)
        for parameter in ("pixels_per_cell", "cells_per_block"):
            value = getattr(self, parameter)
            need(len(value) == 2, "(rows, columns) is wanted", parameter)
            counts(parameter, *value, most=1_000)

    def _names(self, name: str, size: tuple[int, ...]) -> tuple[str, ...]:
        count = hog.length(size[0], size[1], self.orientations, self.pixels_per_cell, self.cells_per_block)
        if not 0 < count <= MOST_FEATURES:
            raise StepError(
                f"images of {size[0]} × {size[1]} give {count:,} numbers: choose other pixels_per_cell and "
                "cells_per_block, or resize them",
                column=name,
            )
        return tuple(f"{name}_hog_{place + 1}" for place in range(count))

    def _fitted(self, names: Any, sizes: Any, kept: Any) -> ToBlock:
        return FittedHog(
            names,
            self.errors,
            sizes,
            kept,
            self.shape,
            self.suffix,
            self.keep_columns,
            self.orientations,
            self.pixels_per_cell,
            self.cells_per_block,
            self.block_norm,
            self.transform_sqrt,
        )


@dataclass(frozen=True)
class FittedHog(ToBlock):
    orientations: int
    pixels_per_cell: tuple[int, int]
    cells_per_block: tuple[int, int]
    block_norm: str
    transform_sqrt: bool

    def process(self, pixels: Pixels) -> NDArray[Any]:
        if self.transform_sqrt and pixels.min() < 0:
            raise InvalidMedia("transform_sqrt is for pixels that are not below zero")
        return hog.hog(
            pixels,
            self.orientations,
            self.pixels_per_cell,
            self.cells_per_block,
            self.block_norm,
            square_root=self.transform_sqrt,
        )
