"""Arrow arrays become numpy's and back without a change, sliced or not, and without pandas."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from clary.data.arrow import dictionary_codes, missing_mask, to_arrow, to_numpy

ARRAYS = [
    pa.array([1.5, None, -2.0, 7.0], pa.float64()),
    pa.array([1.5, None, -2.0, 7.0], pa.float32()),
    pa.array([1, 2, 3, 4], pa.int8()),
    pa.array([1, 2, 3, 2**63], pa.uint64()),
    pa.array([True, False, True, True]),
    pa.array([0, None, -5, 7], pa.timestamp("us")),
    pa.array([], pa.float64()),
    pa.array([None, None], pa.float64()),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.type} {len(array)}")
@pytest.mark.parametrize("start", [0, 1, 3])
def test_values_are_those_of_pyarrow(array, start):
    array = array.slice(min(start, len(array)))
    expected = array.to_numpy(zero_copy_only=False)
    assert to_numpy(array).dtype == expected.dtype
    np.testing.assert_array_equal(to_numpy(array), expected)
    np.testing.assert_array_equal(missing_mask(array), array.is_null().to_numpy(zero_copy_only=False))
    assert to_arrow(to_numpy(array)).equals(array)


def test_long_booleans_and_gaps_are_found_at_any_place():
    random = np.random.default_rng(0)
    values = random.random(1_000)
    array = pa.array(values, mask=values < 0.3).slice(13, 777)
    np.testing.assert_array_equal(np.isnan(to_numpy(array)), values[13:790] < 0.3)
    np.testing.assert_array_equal(to_numpy(pa.array(values < 0.3).slice(13, 777)), values[13:790] < 0.3)


@pytest.mark.parametrize("texts", [["a", None, "b", "a"], [None, None], [], ["b"]])
def test_codes_find_their_texts(texts):
    array = pa.array(texts, pa.string()).dictionary_encode()
    levels = array.dictionary.to_pylist()
    assert [levels[code] if code >= 0 else None for code in dictionary_codes(array)] == texts


def test_pandas_is_not_loaded():
    program = """if True:
        import sys, numpy as np, pyarrow as pa
        from clary.data.arrow import to_arrow, to_numpy
        to_numpy(pa.nulls(3, pa.float64()))
        to_arrow(np.array([1.0, np.nan]))
        assert 'pandas' not in sys.modules"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
