"""Steps on pictures and sounds, extraction, selection and one's own, in whole recipes: the same wherever they are."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits

from clary.data.errors import DataError, RecipeError
from clary.data.recipe import FittedRecipe, Recipe

ROWS = 40


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def wav(hertz: float) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, 0.4 * np.sin(2 * np.pi * hertz * np.arange(2_000) / 8_000), 8_000, format="WAV")
    return stream.getvalue()


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Digits as pictures, tones, and figures of tumours, as if they belonged together."""
    cells = load_breast_cancer(as_frame=True).data.iloc[:ROWS, :8].rename(columns=lambda name: name.replace(" ", "_"))
    images = (load_digits().images[:ROWS] * 15).astype(np.uint8)
    return cells.assign(
        digit=[png(np.kron(image, np.ones((2, 2), np.uint8))) for image in images],
        clip=[wav(200 + 20 * place) for place in range(ROWS)],
        nothing=np.nan,
        label=load_digits().target[:ROWS] % 2,
    )


PICTURES = [
    {"image_resize": {"columns": "digit", "size": [8, 8], "method": "pad"}},
    {"image_filter": {"columns": "digit", "filter": "sharpen", "amount": 0.5}},
]
SMALL = {"sr": 8_000, "n_fft": 256, "hop_length": 128, "n_mels": 12}
RECIPES = {
    "pixels": [*PICTURES, {"image_flatten": {"columns": ["digit"], "scale": 0.1}}, {"drop": {"columns": "clip"}}],
    "pixels, components": [
        *PICTURES,
        {"image_flatten": {"columns": "digit"}},
        {"pca": {"columns": "digit_pixels", "n_components": 6, "whiten": True}},
        {"audio_mfcc": {"columns": "clip", "n_mfcc": 3, **SMALL}},
    ],
    "outlines, chosen": [
        {"image_crop": {"columns": "digit", "size": [16, 14]}},
        {"image_hog": {"columns": "digit", "pixels_per_cell": [4, 4], "cells_per_block": [1, 1]}},
        {"select_variance": {"threshold": 0.001}},
        {"select_univariate": {"columns": "digit_hog", "percentile": 30}},
        {"drop": {"columns": "clip"}},
    ],
    "figures": [
        {"image_statistics": {"columns": "digit"}},
        {"audio_band": {"columns": "clip", "btype": "bandpass", "cutoff": [300, 900]}},
        {"audio_resample": {"columns": "clip", "target_sr": 4_000}},
        {"audio_spectrogram": {"columns": "clip", **SMALL, "sr": 4_000, "statistics": ["max"]}},
        {"select_correlation": {"threshold": 0.9}},
        {"select_missing": {"share": 0.1}},
    ],
    "distances": [
        {"drop": {"columns": ["digit", "clip", "nothing"]}},
        {"scale": {"columns": "mean_*"}},
        {"kmeans_distance": {"n_clusters": 3, "keep_columns": True}},
        {"truncated_svd": {"columns": "kmeans_*", "n_components": 2, "prefix": "near"}},
        {"select_model": {"model": "tree", "threshold": "median"}},
    ],
    "apart": [
        {"drop": {"columns": ["digit", "clip"]}},
        {"select_variance": {"columns": ["mean_*", "nothing"]}},
        {"lda": {"prefix": "apart"}},
    ],
    "eliminated": [
        {"drop": {"columns": ["digit", "clip", "nothing"]}},
        {"scale": {"columns": "mean_*"}},
        {
            "sklearn": {
                "transformer": "sklearn.preprocessing.PolynomialFeatures",
                "columns": ["mean_area", "mean_texture"],
            }
        },
        {"select_recursive": {"columns": "mean_*", "n_features_to_select": 3, "step": 2}},
    ],
}


@pytest.fixture(params=RECIPES, scope="module")
def fitted(request, frame) -> FittedRecipe:
    recipe = Recipe.from_dict({"name": request.param, "target": "label", "steps": RECIPES[request.param]})
    assert Recipe.parse(recipe.to_yaml()).hash == recipe.hash
    return recipe.fit(frame)


def test_a_row_alone_gives_the_very_same_bits(frame, fitted):
    inputs = frame.drop(columns="label")
    together = fitted.transform(inputs)
    assert len(together.columns) > 0
    for place in (0, 7, ROWS - 1):
        row = {name: value.item() if hasattr(value, "item") else value for name, value in inputs.iloc[place].items()}
        made = np.array(fitted.transform_row(row), float)
        assert made.tobytes() == together.iloc[place].to_numpy(float).tobytes()
        alone = fitted.transform(inputs.iloc[[place]])
        assert alone.to_numpy(float).tobytes() == together.iloc[[place]].to_numpy(float).tobytes()


def test_saved_pickled_and_in_a_pipeline_it_is_the_same(frame, fitted, tmp_path):
    inputs = frame.drop(columns="label")
    wanted = fitted.transform(inputs)
    fitted.save(tmp_path / "fitted")
    pickled = fitted.recipe.name == "eliminated"
    loaded = FittedRecipe.load(tmp_path / "fitted", allow_pickle=pickled)
    for read_back in (loaded, pickle.loads(pickle.dumps(fitted))):
        pd.testing.assert_frame_equal(read_back.transform(inputs), wanted, check_exact=True)
        assert read_back.step_notes == fitted.step_notes
    pipeline = fitted.to_sklearn()
    found = pipeline.transform(inputs[list(pipeline.feature_names_in_)])
    assert list(found.columns) == list(wanted.columns)
    np.testing.assert_allclose(found.to_numpy(float), wanted.to_numpy(float), rtol=1e-12, atol=1e-12)


def test_an_estimator_is_pickled_so_it_is_loaded_only_where_that_is_allowed(frame, tmp_path):
    recipe = Recipe.from_dict({"target": "label", "steps": RECIPES["eliminated"]})
    recipe.fit(frame).save(tmp_path / "fitted")
    with pytest.raises(DataError, match="allow_pickle=True"):
        FittedRecipe.load(tmp_path / "fitted")


def test_faults_name_their_step(frame):
    broken = frame.assign(digit=[b"broken", *frame["digit"][1:]])
    recipe = Recipe.from_dict({"steps": RECIPES["pixels"]})
    with pytest.raises(DataError, match=r"step 1 \(image_resize\), column 'digit': row 0"):
        recipe.fit(broken)
    with pytest.raises(DataError, match=r"step 1.*column 'digit': row 3"):
        recipe.fit(frame).transform(frame.assign(digit=[*frame["digit"][:3], b"broken", *frame["digit"][4:]]))


def test_a_recipe_with_a_map_or_a_strange_import_is_refused_when_it_is_read():
    with pytest.raises(RecipeError, match=r"(?s)step 1 \(tsne\).*`pca`.*step 2 \(function\).*may not import 'os'"):
        Recipe.parse("steps:\n- tsne\n- function: {function: 'os:system'}\n")


def test_a_table_without_rows_is_reported(frame):
    for name in ("pixels", "distances", "eliminated"):
        with pytest.raises(DataError):
            Recipe.from_dict({"target": "label", "steps": RECIPES[name]}).fit(frame[:0])
