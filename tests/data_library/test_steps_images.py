"""Images: what is taken, what is refused, and figures beside Pillow's and scikit-image's."""

from __future__ import annotations

import io
from contextlib import suppress

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from sklearn.datasets import load_digits

from clary.data.batch import Batch, Kind
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.steps.image import decoding
from clary.data.recipe.steps.image import pixels as p
from clary.data.recipe.steps.image.decoding import IMAGE, packed, pixels_of
from clary.data.recipe.steps.image.features import ImageFlatten, ImageHog
from clary.data.recipe.steps.image.statistics import STATISTICS, ImageStatistics
from clary.data.recipe.steps.image.transforms import ImageConvert, ImageCrop, ImageFilter, ImageGrey, ImageResize
from tests.data_library.feature_checks import Pieces, assert_made_as_declared, assert_same_by_row, fitted


def picture(height: int = 40, width: int = 48, channels: int = 3) -> np.ndarray:
    """Always the same, with slopes and edges in all directions."""
    y, x, z = np.mgrid[0:height, 0:width, 0:channels]
    return ((y * y * 7 + x * 13 + x * y * 3 + z * 57) // 5 % 256).astype(np.uint8)


def encoded(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels.squeeze())
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def table(*files: bytes | None) -> pa.Table:
    return pa.table({"photo": pa.array(list(files), pa.binary())})


def made(step, data: pa.Table, column: str = "photo") -> list[np.ndarray | None]:
    """The images a step makes."""
    ours = fitted(step, data)
    assert_made_as_declared(ours, data)
    found = ours.transform(Batch.of_arrow(data))[column]
    assert found.type == IMAGE
    return [pixels_of(value) if value.is_valid else None for value in found]


def checksum(values) -> list[float]:
    values = np.asarray(values, np.float64).ravel()
    return [len(values), float(values.sum()), float((values * (np.arange(len(values)) % 101)).sum())]


# ---- forms ----


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "PPM", "WEBP"])
@pytest.mark.parametrize("channels", [1, 3])
def test_files_without_loss_decode_to_their_pixels(kind, channels):
    wanted = picture(9, 7, channels)
    if kind == "GIF" and channels == 3:
        wanted = np.zeros((9, 7, 3), np.uint8)
        wanted[2:5, 1:3] = (255, 0, 0)
    options = {"lossless": True} if kind == "WEBP" else {}
    value = pa.scalar(encoded(wanted, kind, **options))
    found = pixels_of(value)
    if kind in ("GIF", "WEBP") and channels == 1:  # they know no grey
        found = found[:, :, :1]
    np.testing.assert_array_equal(found, wanted)
    assert decoding.shape_of(value)[:2] == (9, 7)


@pytest.mark.parametrize(
    ("mode", "channels", "kind"),
    [
        ("1", 1, np.uint8),
        ("L", 1, np.uint8),
        ("LA", 4, np.uint8),
        ("P", 3, np.uint8),
        ("RGB", 3, np.uint8),
        ("RGBA", 4, np.uint8),
        ("CMYK", 3, np.uint8),
        ("I;16", 1, np.float32),
        ("F", 1, np.float32),
    ],
)
def test_modes_become_channels(mode, channels, kind):
    image = Image.fromarray(picture(6, 5))
    image = (
        Image.fromarray(picture(6, 5, 1)[:, :, 0].astype(np.uint16) * 200) if mode == "I;16" else image.convert(mode)
    )
    value = pa.scalar(encoded(image, "TIFF" if mode in ("CMYK", "F") else "PNG"))
    found = pixels_of(value)
    assert (found.shape, found.dtype) == ((6, 5, channels), kind)
    assert decoding.shape_of(value) == found.shape
    if mode == "I;16":
        np.testing.assert_array_equal(found[:, :, 0], picture(6, 5, 1)[:, :, 0] * 200.0)


def test_a_palette_with_transparency_has_four_channels():
    image = Image.fromarray(picture(6, 5)).quantize(8)
    value = pa.scalar(encoded(image, "PNG", transparency=0))
    assert pixels_of(value).shape == decoding.shape_of(value) == (6, 5, 4)


def test_an_image_is_turned_by_its_exif_data():
    image = Image.fromarray(picture(6, 5))
    exif = image.getexif()
    exif[0x0112] = 6
    value = pa.scalar(encoded(image, "PNG", exif=exif))
    np.testing.assert_array_equal(pixels_of(value), np.rot90(picture(6, 5), -1))
    assert decoding.shape_of(value) == (5, 6, 3)


@pytest.mark.parametrize("kind", [pa.uint8(), pa.int64(), pa.float64(), pa.float32()])
@pytest.mark.parametrize("nested", [True, False])
def test_lists_are_images_too(kind, nested):
    wanted = picture(4, 3, 1)[:, :, 0]
    if nested:
        column, shape = pa.array([wanted.tolist()], pa.list_(pa.list_(kind))), ()
    else:
        column, shape = pa.array([wanted.ravel().tolist()], pa.list_(kind, 12)), (4, 3)
    (found,) = made(ImageCrop(box=(0, 0, 3, 4), shape=shape), pa.table({"photo": column}))
    np.testing.assert_array_equal(found[:, :, 0], wanted)
    assert found.dtype == (np.float32 if pa.types.is_floating(kind) else np.uint8)


def test_coloured_lists_tensors_and_frames_are_images_too():
    wanted = picture(4, 3)
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.stack([wanted, wanted]))
    for column in (pa.array([wanted.tolist()] * 2), tensor):
        for found in made(ImageCrop(box=(0, 0, 3, 4)), pa.table({"photo": column})):
            np.testing.assert_array_equal(found, wanted)
    frame = pd.DataFrame({"photo": [wanted.tolist(), None]})
    ours = fitted(ImageGrey(), frame)
    assert ours.transform(Batch.of_pandas(frame))["photo"].null_count == 1


def test_decoded_images_pass_from_step_to_step():
    column = packed([picture(6, 5), None, picture(3, 2, 1).astype(np.float32) / 3])
    found = [pixels_of(value) if value.is_valid else None for value in column.slice(1, 2)]
    assert found[0] is None
    np.testing.assert_array_equal(found[1], picture(3, 2, 1).astype(np.float32) / 3)
    (grey,) = made(ImageGrey(), pa.table({"photo": packed([picture(6, 5)])}))
    assert grey.shape == (6, 5, 1)


def test_decoded_images_that_went_through_pandas_are_still_images():
    frame = pa.table({"photo": packed([picture(6, 5), None])}).to_pandas()
    found = fitted(ImageGrey(), frame).transform(Batch.of_pandas(frame))["photo"]
    np.testing.assert_array_equal(pixels_of(found[0]), p.converted(picture(6, 5), "L"))
    assert not found[1].is_valid


# ---- what is broken, or hostile ----

WHOLE = encoded(picture(6, 5))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"", "its 0 bytes are not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "are not an image in PNG, JPEG"),
        (WHOLE[:40], "row 1"),
        (WHOLE[:-30], "row 1"),
        (WHOLE[:60] + b"\0\0\0\0" + WHOLE[64:], "row 1"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "row 1"),
    ],
)
def test_a_broken_file_names_its_row_and_column_or_is_missing(value, message):
    data = table(WHOLE, value, None)
    with pytest.raises(StepError, match=r"column 'photo': row 1 \(the first is 0\).*errors: missing") as caught:
        made(ImageGrey(), data)
    assert message in str(caught.value)
    found = made(ImageGrey(errors="missing"), data)
    assert [image is None for image in found] == [False, True, True]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=6),
    st.integers(0, 2_000),
)
def test_any_damage_to_a_file_is_reported_or_harmless(kind, changes, cut):
    data = bytearray(encoded(picture(6, 5), kind))
    for place, value in changes:
        data[place % len(data)] = value
    value = pa.scalar(bytes(data[: len(data) - cut % len(data)]))
    with suppress(decoding.InvalidMedia):
        assert len(decoding.shape_of(value)) == 3
    with suppress(decoding.InvalidMedia):
        assert pixels_of(value).shape == decoding.shape_of(value)


def test_a_small_file_of_a_huge_image_is_not_decoded():
    bomb = encoded(Image.new("1", (20_000, 10_000)))
    assert len(bomb) < 50_000
    for step in (ImageGrey(), ImageFlatten()):
        with pytest.raises(StepError, match="more than 89,478,485 pixels"):
            fitted(step, table(bomb)).transform(Batch.of_arrow(table(bomb)))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1, 2, 3, 4]]), "flat lists; give the step their `shape`"),
        (pa.array([[["a"]]]), "neither files nor lists of numbers"),
        (pa.array([[[1, 2], [3]]]), "not all of one length"),
        (pa.array([[[1.0, None]]]), "missing or infinite"),
        (pa.array([[[1.0, np.inf]]]), "missing or infinite"),
        (pa.array([[[[[1]]]]]), "not an image of shape"),
        (pa.array([[[]]], pa.list_(pa.list_(pa.int8()))), "not an image of shape"),
        (pa.array([{"a": 1}]), "neither files nor lists of numbers"),
        (
            pa.array([{"pixels": b"abc", "height": 1, "width": 2, "channels": 1, "type": "uint8"}], IMAGE),
            "not those of",
        ),
        (
            pa.array([{"pixels": b"", "height": -1, "width": -1, "channels": 1, "type": "uint8"}], IMAGE),
            "not those of",
        ),
        (pa.array([{"pixels": b"abc", "height": 1, "width": 3, "channels": 1, "type": "int64"}], IMAGE), "missing"),
        (pa.array([{"pixels": None, "height": 1, "width": 3, "channels": 1, "type": "uint8"}], IMAGE), "missing"),
    ],
)
def test_lists_and_structs_that_are_no_images_are_reported(column, message):
    data = pa.table({"photo": column})
    with pytest.raises(StepError, match="column 'photo'") as caught:
        made(ImageGrey(), data)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ImageResize(size=(0, 5)), "size: 0 is not from 1"),
        (lambda: ImageResize(size=(5, 100_000)), "size: 100000 is not from 1 to 16,384"),
        (lambda: ImageResize(size=(5,)), "width, height"),
        (lambda: ImageResize(size=(5, 5), resample="sinc"), "resample: 'sinc' is not one of"),
        (lambda: ImageResize(size=(5, 5), method="melt"), "method: 'melt'"),
        (ImageCrop, "give size or box"),
        (lambda: ImageCrop(size=(1, 1), box=(0, 0, 1, 1)), "give size or box"),
        (lambda: ImageCrop(box=(3, 0, 3, 1)), "holds nothing"),
        (lambda: ImageConvert(mode="CMYK"), "mode: 'CMYK'"),
        (lambda: ImageFilter(filter="swirl"), "filter: 'swirl'"),
        (lambda: ImageFilter(filter="blur", sigma=0), "sigma"),
        (lambda: ImageFilter(filter="median", size=4), "an odd number"),
        (lambda: ImageGrey(errors="ignore"), "errors: 'ignore'"),
        (lambda: ImageGrey(shape=(3,)), "shape"),
        (lambda: ImageHog(orientations=0), "orientations"),
        (lambda: ImageHog(block_norm="L3"), "block_norm"),
        (lambda: ImageHog(pixels_per_cell=(8, 0)), "pixels_per_cell"),
        (lambda: ImageFlatten(scale=0.0), "scale"),
    ],
)
def test_parameters_that_are_wrong_for_any_image_are_refused(make, message):
    with pytest.raises(RecipeError, match=message):
        make()


def test_columns_that_are_no_images_are_refused():
    with pytest.raises(StepError, match="no columns of files or lists"):
        fitted(ImageGrey(), pd.DataFrame({"a": [1.0]}))
    with pytest.raises(StepError, match="column 'a': it holds number"):
        fitted(ImageGrey(columns=("a",)), pd.DataFrame({"a": [1.0]}))


# ---- images into images ----


@pytest.mark.parametrize("resample", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_is_pillows(resample, channels):
    pixels = picture(channels=channels)
    image = Image.fromarray(pixels.squeeze())
    method = Image.Resampling[resample.upper()]
    (found,) = made(ImageResize(size=(20, 31), resample=resample), table(encoded(pixels)))
    np.testing.assert_array_equal(found.squeeze(), np.asarray(image.resize((20, 31), method)))
    (cut,) = made(ImageResize(size=(20, 31), resample=resample, method="fit"), table(encoded(pixels)))
    np.testing.assert_array_equal(cut.squeeze(), np.asarray(ImageOps.fit(image, (20, 31), method)))
    (whole,) = made(ImageResize(size=(20, 31), resample=resample, method="pad"), table(encoded(pixels)))
    np.testing.assert_array_equal(whole.squeeze(), np.asarray(ImageOps.pad(image, (20, 31), method)))


def test_numbers_that_are_no_bytes_are_resized_as_numbers():
    values = np.linspace(-1, 5, 24).reshape(4, 6)
    (found,) = made(ImageResize(size=(3, 2), resample="box"), pa.table({"photo": pa.array([values.tolist()])}))
    np.testing.assert_allclose(found[:, :, 0], values.reshape(2, 2, 3, 2).mean(axis=(1, 3)), rtol=1e-6)


def test_crops_are_around_the_centre_or_a_box():
    pixels = picture()
    (centre,) = made(ImageCrop(size=(20, 11)), table(encoded(pixels)))
    np.testing.assert_array_equal(centre, pixels[14:25, 14:34])
    (box,) = made(ImageCrop(box=(2, 3, 10, 6)), table(encoded(pixels)))
    np.testing.assert_array_equal(box, pixels[3:6, 2:10])
    with pytest.raises(StepError, match="the image is 48 × 40, smaller"):
        made(ImageCrop(size=(49, 1)), table(encoded(pixels)))


def test_grey_and_modes_are_pillows():
    pixels = picture(channels=4)
    image = Image.fromarray(pixels)
    for step, mode in ((ImageGrey(), "L"), (ImageConvert(mode="RGB"), "RGB"), (ImageConvert(mode="RGBA"), "RGBA")):
        (found,) = made(step, table(encoded(pixels)))
        np.testing.assert_array_equal(found.squeeze(), np.asarray(image.convert(mode)))
        (found,) = made(step, table(encoded(pixels[:, :, :3])))
        np.testing.assert_array_equal(found.squeeze(), np.asarray(image.convert("RGB").convert(mode)))
        (found,) = made(step, table(encoded(pixels[:, :, :1])))
        np.testing.assert_array_equal(found.squeeze(), np.asarray(Image.fromarray(pixels[:, :, 0]).convert(mode)))


def test_grey_of_numbers_weighs_them():
    values = picture(3, 2).astype(float) / 7
    (found,) = made(ImageGrey(), pa.table({"photo": pa.array([values.tolist()])}))
    np.testing.assert_allclose(found[:, :, 0], values @ [0.299, 0.587, 0.114], rtol=1e-6)


def test_filters_are_scikit_images():
    """The checksums are of scikit-image 0.25's sobel, unsharp_mask and gaussian of the same image."""
    grey = picture()[:, :, :1].astype(np.float32)
    np.testing.assert_allclose(checksum(p.edges(grey)), [1920, 126747.80105701528, 6389990.576724311], rtol=1e-7)
    np.testing.assert_allclose(
        checksum(p.sharpened(grey, 1.5, 2.0)), [1920, 237087.99999999997, 11857421.051077463], rtol=1e-7
    )
    np.testing.assert_allclose(checksum(p.blurred(grey, 1.5)), [1920, 236782.13060983567, 11916185.30184092], rtol=1e-7)
    assert checksum(p.edges(picture()[:, :, :1])) == [1920, 126758.0, 6390725.0]
    assert [p.otsu(picture()[:, :, place]) for place in range(3)] == [127, 125, 127]
    assert p.otsu((picture()[:, :, 0] / 7).astype(np.float32)) == pytest.approx(18.143135, abs=1e-5)


@pytest.mark.parametrize("which", ["blur", "median", "edge", "sharpen", "threshold"])
def test_filters_take_each_channel_for_itself(which):
    pixels = picture()
    (whole,) = made(ImageFilter(filter=which), table(encoded(pixels)))
    for place in range(3):
        (alone,) = made(ImageFilter(filter=which), table(encoded(pixels[:, :, place])))
        np.testing.assert_array_equal(whole[:, :, place], alone[:, :, 0])


def test_thresholds_leave_black_and_white():
    pixels = picture()[:, :, 0]
    (threshold,) = made(ImageFilter(filter="threshold", threshold=99.0), table(encoded(pixels)))
    np.testing.assert_array_equal(threshold[:, :, 0], np.where(pixels > 99, 255, 0))
    (found,) = made(ImageFilter(filter="threshold"), table(encoded(pixels)))
    np.testing.assert_array_equal(found[:, :, 0], np.where(pixels > 127, 255, 0))
    (flat,) = made(ImageFilter(filter="threshold"), table(encoded(np.full((3, 3), 7, np.uint8))))
    assert not flat.any()


def test_only_the_columns_wanted_are_worked_on():
    data = pa.table({"a": pa.array([WHOLE]), "b": pa.array([b"broken"])})
    reduced = fitted(ImageGrey(), data).only({"a"})
    assert reduced.inputs == ("a",)
    assert reduced.transform(Batch.of_arrow(data)).schema.names == ("a", "b")
    assert fitted(ImageGrey(), data).only({"c"}) is None


# ---- images into numbers ----


def digits() -> pa.Table:
    return pa.table({"digit": pa.array(load_digits().images[:50].tolist())})


def test_flattened_digits_are_scikit_learns_data():
    ours = fitted(ImageFlatten(), Pieces(digits(), 7))
    block = ours.transform(Batch.of_arrow(digits()))["digit_pixels"]
    np.testing.assert_array_equal(block.matrix, load_digits().data[:50])
    assert block.names[:2] == ("digit_0_0", "digit_0_1")
    assert_made_as_declared(ours, digits())
    assert_same_by_row(ours, digits())


def test_coloured_pixels_have_a_column_for_each_channel():
    data = table(encoded(picture(2, 3)), None)
    ours = fitted(ImageFlatten(scale=1 / 255), data)
    block = ours.transform(Batch.of_arrow(data))["photo_pixels"]
    assert block.names[:4] == ("photo_0_0_0", "photo_0_0_1", "photo_0_0_2", "photo_0_1_0")
    np.testing.assert_allclose(block.matrix[0], picture(2, 3).ravel() / 255, rtol=1e-6)
    assert np.isnan(block.matrix[1]).all()


@pytest.mark.parametrize("step", [ImageFlatten(), ImageHog(pixels_per_cell=(2, 2), cells_per_block=(1, 1))])
def test_images_of_several_sizes_are_to_be_resized_first(step):
    data = table(encoded(picture(6, 5)), None, encoded(picture(6, 5)), encoded(picture(5, 6)))
    for cut in (data, Pieces(data, 1)):
        with pytest.raises(StepError, match=r"6 × 5 × 3 \(row 0\), 5 × 6 × 3 \(row 3\).*image_resize") as caught:
            fitted(step, cut)
        assert caught.value.column == "photo"
    ours = fitted(step, data, ImageResize(size=(6, 6)))
    assert ours.sizes == ((6, 6, 3),)


def test_an_image_of_another_size_at_inference_names_its_row():
    ours = fitted(ImageFlatten(), table(encoded(picture(6, 5))))
    with pytest.raises(StepError, match=r"column 'photo': row 1 .*the image is 4 × 4 × 1; .* fitted on 6 × 5 × 3"):
        ours.transform(Batch.of_arrow(table(encoded(picture(6, 5)), encoded(picture(4, 4, 1)))))


@pytest.mark.parametrize("files", [(), (None,)])
def test_no_image_at_all_is_reported(files):
    with pytest.raises(StepError, match="no row has an image"):
        fitted(ImageFlatten(), table(*files))


def test_broken_images_are_passed_over_where_they_may_be_missing():
    data = table(b"broken", WHOLE)
    with pytest.raises(StepError, match="row 0"):
        fitted(ImageFlatten(), data)
    ours = fitted(ImageFlatten(errors="missing"), data)
    assert np.isnan(ours.transform(Batch.of_arrow(data))["photo_pixels"].matrix).any(axis=1).tolist() == [True, False]


def test_images_too_large_for_columns_are_reported():
    with pytest.raises(StepError, match="too large; resize"):
        fitted(ImageFlatten(), table(encoded(Image.new("L", (2_000, 1_000)))))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [972, 62.74565403165251, 3012.096179650737]),
        (
            {"orientations": 6, "pixels_per_cell": (5, 7), "cells_per_block": (2, 1), "block_norm": "L1"},
            [504, 41.99999827726546, 2120.8288601707454],
        ),
        ({"block_norm": "L2", "transform_sqrt": True}, [972, 64.56835415044597, 3129.0871519040647]),
        ({"block_norm": "L1-sqrt", "cells_per_block": (1, 1)}, [270, 55.00737480923645, 2584.660309749879]),
    ],
)
def test_outlines_are_scikit_images(options, expected):
    """The checksums are of scikit-image 0.25's feature.hog, which works in float32 in part."""
    data = table(encoded(picture()))
    ours = fitted(ImageHog(**options), data)
    block = ours.transform(Batch.of_arrow(data))["photo_hog"]
    np.testing.assert_allclose(checksum(block.matrix), expected, rtol=2e-8)
    assert block.names[:2] == ("photo_hog_1", "photo_hog_2")
    assert_made_as_declared(ours, data)
    assert_same_by_row(ours, data)


def test_images_too_small_for_outlines_are_reported():
    with pytest.raises(StepError, match="images of 6 × 5 give 0 numbers"):
        fitted(ImageHog(), table(WHOLE))


def test_statistics_of_images():
    grey = picture(channels=1)
    half = np.zeros((10, 20, 3), np.uint8)
    half[:, 10:] = (255, 0, 0)
    data = table(encoded(grey), encoded(half), None, encoded(np.full((3, 3), 9, np.uint8)))
    ours = fitted(ImageStatistics(), data)
    assert_made_as_declared(ours, data)
    assert_same_by_row(ours, data)
    found = ours.transform(Batch.of_arrow(data)).to_pandas()
    found.columns = [name.removeprefix("photo_") for name in found]
    assert list(found) == list(STATISTICS)
    first = found.iloc[0]
    assert (first["width"], first["height"], first["channels"]) == (48, 40, 1)
    np.testing.assert_allclose(first[["mean", "std"]].tolist(), [grey.mean(), grey.std()])
    shares = np.bincount(grey.ravel()) / grey.size
    assert first["entropy"] == pytest.approx(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum())
    second = found.iloc[1]
    assert (second["min"], second["max"], second["entropy"]) == (0, 76, 1)
    # Red against nothing, half and half: both differences are 255 and 127.5 on one side, 0 on the other.
    wanted = np.hypot(127.5, 63.75) + 0.3 * np.hypot(127.5, 63.75)
    assert second["colourfulness"] == pytest.approx(wanted)
    assert found.iloc[2].isna().all()
    assert found.iloc[3][["std", "entropy", "sharpness", "colourfulness"]].tolist() == [0, 0, 0, 0]


def test_several_features_come_of_one_picture():
    data = table(encoded(picture(8, 8, 1)))
    steps = [ImageStatistics(keep_columns=True), ImageFlatten(keep_columns=True)]
    ours = fitted(ImageHog(cells_per_block=(1, 1)), data, *steps)
    assert ours.removed == ("photo",)
    assert fitted(ImageFlatten(keep_columns=True), data).removed == ()
    with pytest.raises(StepError, match="column 'photo_hog': there is such a column"):
        fitted(ImageHog(cells_per_block=(1, 1)), data.append_column("photo_hog", pa.array([1.0])))


def test_statistics_may_stand_beside_the_images():
    data = table(WHOLE)
    ours = fitted(ImageStatistics(keep_columns=True), data)
    assert ours.after(Batch.of_arrow(data).schema)["photo"].kind is Kind.OTHER
    with pytest.raises(StepError, match="column 'photo_mean': there is such a column"):
        fitted(ImageStatistics(), data.append_column("photo_mean", pa.array([1.0])))


def test_images_without_pillow_name_what_to_install(monkeypatch):
    import sys

    ours = fitted(ImageGrey(), table(WHOLE))
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ValueError, match=r"pip install 'clary\[media\]'"):
        ours.transform(Batch.of_arrow(table(WHOLE)))
