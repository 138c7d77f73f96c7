"""Images into images: resize, crop, grey, colour modes, filters. See `decoding` for the forms of a column."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from clary.data.batch import Batch, Schema
from clary.data.recipe.step import Fitting, check_choice, need, step
from clary.data.recipe.steps.image import pixels as operations
from clary.data.recipe.steps.image.decoding import packed, pixels_of
from clary.data.recipe.steps.image.pixels import Pixels
from clary.data.recipe.steps.media import InvalidMedia, MediaStep, SameColumns, counts

MOST_A_SIDE = 16_384  # pixels; what JPEG can hold is 65,535
RESAMPLE = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
FILTERS = ("blur", "median", "edge", "sharpen", "threshold")


@dataclass(frozen=True, kw_only=True)
class ImageStep(MediaStep):
    """shape   [height, width] or with channels, of columns of flat lists
    errors  "raise", or "missing": what cannot be decoded becomes a missing value
    """

    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shape:
            need(len(self.shape) in (2, 3), "[height, width] or [height, width, channels] is wanted", "shape")
            counts("shape", *self.shape, most=MOST_A_SIDE)


@dataclass(frozen=True)
class ImageTransform(SameColumns):
    """shape  of flat lists."""

    shape: tuple[int, ...]

    @abstractmethod
    def process(self, pixels: Pixels) -> Pixels:
        """Of one image. Raises InvalidMedia where it cannot be."""

    def transform(self, batch: Batch) -> Batch:
        def read(value: Any) -> Pixels:
            return pixels_of(value, self.shape)

        return batch.replaced((), {name: packed(self.rows_of(batch, name, self.process, read)) for name in self.names})


@step
@dataclass(frozen=True, kw_only=True)
class ImageResize(ImageStep):
    """All images of one size.

    size      (width, height), as Pillow has it
    resample  "nearest", "box", "bilinear", "hamming", "bicubic" or "lanczos": Pillow's filters
    method    "stretch": whatever the ratio of the sides was; "fit": cut to the new ratio around the centre first;
              "pad": whole, on black
    shape, errors  as in every image step: the shape of flat lists, and what becomes of images that are broken
    """

    name = "image_resize"
    keeps_schema = True

    size: tuple[int, int]
    resample: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = "bicubic"
    method: Literal["stretch", "fit", "pad"] = "stretch"

    def __post_init__(self) -> None:
        super().__post_init__()
        need(len(self.size) == 2, "(width, height) is wanted", "size")
        counts("size", *self.size, most=MOST_A_SIDE)
        check_choice("resample", self.resample, RESAMPLE)
        check_choice("method", self.method, ("stretch", "fit", "pad"))

    def fitting(self, schema: Schema) -> Fitting:
        yield []  # nothing is learnt
        width, height = self.size
        return FittedResize(
            self.some_chosen(schema), self.errors, self.shape, width, height, self.resample, self.method
        )


@dataclass(frozen=True)
class FittedResize(ImageTransform):
    width: int
    height: int
    resample: str
    method: str

    def process(self, pixels: Pixels) -> Pixels:
        resize = {"stretch": operations.resized, "fit": operations.fitted_in, "pad": operations.padded}[self.method]
        return resize(pixels, self.width, self.height, self.resample)


@step
@dataclass(frozen=True, kw_only=True)
class ImageCrop(ImageStep):
    """A part of each image: around its centre, or a box. An image that is smaller than that is an error.

    size  (width, height) around the centre
    box   (left, upper, right, lower), as Pillow has it; give one of the two
    shape, errors  as in `image_resize`
    """

    name = "image_crop"
    keeps_schema = True

    size: tuple[int, int] | None = None
    box: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        need((self.size is None) != (self.box is None), "give size or box, one of the two", "size")
        if self.size is not None:
            need(len(self.size) == 2, "(width, height) is wanted", "size")
            counts("size", *self.size, most=MOST_A_SIDE)
        if self.box is not None:
            need(len(self.box) == 4, "(left, upper, right, lower) is wanted", "box")
            left, upper, right, lower = self.box
            need(0 <= left < right and 0 <= upper < lower, f"{self.box} holds nothing", "box")

    def fitting(self, schema: Schema) -> Fitting:
        yield []  # nothing is learnt
        box = self.box or (0, 0, *(self.size or ()))
        return FittedCrop(self.some_chosen(schema), self.errors, self.shape, box, centre=self.box is None)


@dataclass(frozen=True)
class FittedCrop(ImageTransform):
    box: tuple[int, ...]
    centre: bool

    def process(self, pixels: Pixels) -> Pixels:
        left, upper, right, lower = self.box
        height, width = pixels.shape[:2]
        if width < right or height < lower:
            raise InvalidMedia(f"the image is {width} × {height}, smaller than the part of it that is wanted")
        if self.centre:
            left, upper = (width - right) // 2, (height - lower) // 2
            right, lower = left + right, upper + lower
        return pixels[upper:lower, left:right]


@step
@dataclass(frozen=True, kw_only=True)
class ImageGrey(ImageStep):
    """Grey images: one channel, by the perceived brightness of colours (ITU-R 601-2, as Pillow's mode "L").

    shape, errors  as in `image_resize`
    """

    name = "image_grey"
    keeps_schema = True

    def fitting(self, schema: Schema) -> Fitting:
        yield []  # nothing is learnt
        return FittedConvert(self.some_chosen(schema), self.errors, self.shape, "L")


@step
@dataclass(frozen=True, kw_only=True)
class ImageConvert(ImageStep):
    """Images of one mode, where a table mixes grey, coloured and transparent images.

    mode  "L" (grey), "RGB" or "RGBA"; transparency is left out, or full where there was none
    shape, errors  as in `image_resize`
    """

    name = "image_convert"
    keeps_schema = True

    mode: Literal["L", "RGB", "RGBA"] = "RGB"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("mode", self.mode, ("L", "RGB", "RGBA"))

    def fitting(self, schema: Schema) -> Fitting:
        yield []  # nothing is learnt
        return FittedConvert(self.some_chosen(schema), self.errors, self.shape, self.mode)


@dataclass(frozen=True)
class FittedConvert(ImageTransform):
    mode: str

    def process(self, pixels: Pixels) -> Pixels:
        return operations.converted(pixels, self.mode)


@step
@dataclass(frozen=True, kw_only=True)
class ImageFilter(ImageStep):
    """Blur, edges and the like, each channel for itself. Pixels of uint8 are rounded and cut to 0 to 255.

    filter     "blur": Gaussian of standard deviation `sigma`; "median": of squares of `size`, against specks;
               "edge": Sobel magnitude; "sharpen": unsharp mask of `sigma` and `amount`; "threshold": 255 above
               `threshold` and 0 elsewhere (1 and 0 in float32)
    sigma      in pixels
    size       in pixels, odd
    amount     of sharpening
    threshold  None: Otsu's, of each image
    shape, errors  as in `image_resize`
    Reference  Otsu (1979), IEEE Transactions on Systems, Man, and Cybernetics 9(1), 62-66.
    """

    name = "image_filter"
    keeps_schema = True

    filter: Literal["blur", "median", "edge", "sharpen", "threshold"]
    sigma: float = 1.0
    size: int = 3
    amount: float = 1.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("filter", self.filter, FILTERS)
        need(0 < self.sigma <= 1_000, "a figure in (0, 1000] is wanted", "sigma")
        counts("size", self.size, most=99)
        need(self.size % 2 == 1, "an odd number is wanted", "size")
        need(0 <= self.amount <= 1_000, "a figure in [0, 1000] is wanted", "amount")

    def fitting(self, schema: Schema) -> Fitting:
        yield []  # nothing is learnt
        return FittedFilter(
            self.some_chosen(schema),
            self.errors,
            self.shape,
            self.filter,
            self.sigma,
            self.size,
            self.amount,
            self.threshold,
        )


@dataclass(frozen=True)
class FittedFilter(ImageTransform):
    filter: str
    sigma: float
    size: int
    amount: float
    threshold: float | None

    def process(self, pixels: Pixels) -> Pixels:
        match self.filter:
            case "blur":
                return operations.blurred(pixels, self.sigma)
            case "median":
                return operations.smoothed(pixels, self.size)
            case "edge":
                return operations.edges(pixels)
            case "sharpen":
                return operations.sharpened(pixels, self.sigma, self.amount)
            case _:
                return operations.over(pixels, self.threshold)
