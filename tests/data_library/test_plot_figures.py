"""What is drawn: the artists' own data, not pixels."""

from __future__ import annotations

import threading
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from clary.data import plot
from clary.data.batch import Batch, Block
from clary.data.errors import DataError
from clary.data.frames import arrow_of_pandas
from clary.data.plot.distributions import bin_edges
from clary.data.scans import FrameScan


@pytest.fixture(scope="module")
def frame():
    random = np.random.default_rng(0)
    n = 400
    table = pd.DataFrame(
        {
            "age": random.normal(40, 12, n),
            "class": random.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2]),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 300, n), unit="D"),
            "count": random.integers(0, 9, n),
        }
    )
    table["weight"] = 2.5 * table["age"] + random.normal(0, 4, n)
    table.loc[::7, "age"] = np.nan
    return table


def caption(figure):
    return figure.get_supxlabel()


def heights(axes):
    return [bar.get_height() for bar in axes.patches]


def test_a_histogram_has_the_counts_of_numpy(frame):
    values = frame["age"].dropna()
    (axes,) = plot.hist(frame, "age", bins=13).axes
    counts, edges = np.histogram(values, 13)
    assert heights(axes) == counts.tolist()
    np.testing.assert_allclose([bar.get_x() for bar in axes.patches], edges[:-1])


def test_automatic_bins_are_those_of_numpy(frame):
    values = frame["weight"].to_numpy()
    np.testing.assert_allclose(bin_edges(values), np.histogram_bin_edges(values, "auto"))


def test_automatic_bins_of_outliers_stay_few():
    assert len(bin_edges(np.array([0.0, 1.0] * 500 + [1e12]))) <= 101


def test_bins_of_whole_numbers_lie_around_them(frame):
    (axes,) = plot.hist(frame, "count").axes
    assert heights(axes) == frame["count"].value_counts().sort_index().tolist()


def test_a_density_has_the_area_one(frame):
    (axes,) = plot.hist(frame, "age", bins=[0.0, 30.0, 50.0, 100.0], density=True).axes
    assert sum(bar.get_height() * bar.get_width() for bar in axes.patches) == pytest.approx(1)


def test_histograms_by_group_add_up_to_the_whole(frame):
    (axes,) = plot.hist(frame, "weight", by="class", bins=10).axes
    histograms = {patch.get_label(): patch.get_data().values for patch in axes.patches}
    assert set(histograms) == {"a", "b", "c"}
    np.testing.assert_array_equal(
        histograms["a"], np.histogram(frame.query("`class` == 'a'")["weight"], _edges(frame))[0]
    )
    np.testing.assert_array_equal(sum(histograms.values()), np.histogram(frame["weight"], 10)[0])


def _edges(frame):
    return np.histogram_bin_edges(frame["weight"], 10)


def test_times_are_drawn_as_dates(frame):
    (axes,) = plot.hist(frame, "when", bins=5).axes
    first = datetime(1970, 1, 1) + pd.Timedelta(days=axes.patches[0].get_x())
    assert first == frame["when"].min()
    assert sum(heights(axes)) == len(frame)


def test_boxes_stand_at_the_quartiles(frame):
    figure = plot.box(frame, ["age", "weight"])
    for axes, name in zip(figure.axes, ["age", "weight"], strict=True):
        (path,) = [patch.get_path().vertices for patch in axes.patches]
        quartiles = frame[name].quantile([0.25, 0.75])
        assert [path[:, 1].min(), path[:, 1].max()] == pytest.approx(quartiles.tolist())


def test_boxes_by_group_stand_at_each_groups_median(frame):
    (axes,) = plot.box(frame, "weight", by="class").axes
    medians = sorted(line.get_ydata()[0] for line in axes.lines if line.get_linewidth() == 2)
    assert medians == pytest.approx(sorted(frame.groupby("class")["weight"].median()))


def test_bars_are_the_counts_with_others_and_missing_apart():
    table = pd.DataFrame({"x": ["a"] * 5 + ["b"] * 3 + ["c"] + ["d"] + [None] * 2})
    (axes,) = plot.bars(table, "x", most=2).axes
    assert [bar.get_width() for bar in axes.patches] == [5, 3, 2, 2]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "2 others", "missing"]


def test_bars_of_shares_and_of_named_amounts():
    (axes,) = plot.bars(pd.DataFrame({"x": ["a", "a", "a", "b"]}), "x", share=True).axes
    assert [bar.get_width() for bar in axes.patches] == [0.75, 0.25]
    (axes,) = plot.bars({"age": 0.7, "fare": -0.1}, "Importance").axes
    assert [bar.get_width() for bar in axes.patches] == [0.7, -0.1]


def test_the_trend_is_the_line_of_polyfit(frame):
    figure = plot.scatter(frame, "age", "weight")
    (line,) = figure.axes[0].lines
    (x0, x1), (y0, y1) = line.get_data()
    there = frame.dropna()
    slope, level = np.polyfit(there["age"], there["weight"], 1)
    assert (y1 - y0) / (x1 - x0) == pytest.approx(slope)
    assert y0 == pytest.approx(slope * x0 + level)
    assert f"slope {slope:.4g}" in caption(figure)
    assert len(figure.axes[0].collections[0].get_offsets()) == len(there)


def test_lowess_is_that_of_statsmodels(frame):
    from statsmodels.nonparametric.smoothers_lowess import lowess

    figure = plot.scatter(frame, "age", "weight", trend="lowess")
    (line,) = figure.axes[0].lines
    there = frame.dropna()
    expected = lowess(there["weight"], there["age"], frac=2 / 3, delta=0.01 * np.ptp(there["age"]))
    np.testing.assert_allclose(np.column_stack(line.get_data()), expected, rtol=1e-6)
    assert "lowess" in caption(figure)


def test_points_by_group_have_marks_of_their_own(frame):
    axes = plot.scatter(frame, "age", "weight", by="class", trend="none").axes[0]
    sizes = {points.get_label(): len(points.get_offsets()) for points in axes.collections}
    assert sizes == frame.dropna()["class"].value_counts().to_dict()
    assert len({str(points.get_paths()[0]) for points in axes.collections}) == 3


def test_points_by_number_have_a_scale(frame):
    figure = plot.scatter(frame, "age", "weight", by="weight")
    points = figure.axes[0].collections[1]
    np.testing.assert_array_equal(points.get_array(), frame.dropna()["weight"])
    assert figure.axes[1].get_ylabel() == "weight"


def test_a_heat_map_has_the_correlations_of_pandas(frame):
    figure = plot.heatmap(frame, ["age", "count", "weight"], of="spearman")
    expected = frame[["age", "count", "weight"]].corr("spearman")
    np.testing.assert_allclose(figure.axes[0].collections[0].get_array().reshape(3, 3), expected)


def test_a_heat_map_of_any_matrix_is_that_matrix():
    matrix = np.array([[1.0, -2.0], [np.nan, 4.0], [0.0, 1.0]])
    axes = plot.heatmap(matrix, labels=["x", "y"]).axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_array().filled(np.nan).reshape(3, 2), matrix)
    table = pd.DataFrame({"p": [1, 2]}, index=["first", "second"])
    axes = plot.heatmap(table, of="values").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["first", "second"]


def test_missingness_shows_the_share_of_each_band():
    table = pd.DataFrame({"x": [1.0, np.nan] * 500, "y": ["a"] * 900 + [None] * 100})
    figure = plot.missingness(FrameScan(*arrow_of_pandas(table)))
    shares = figure.axes[0].images[0].get_array()
    assert shares.shape == (200, 2)
    np.testing.assert_allclose(shares.mean(axis=0), [0.5, 0.1])
    assert (shares[-20:, 1] == 1).all()
    assert (shares[:-20, 1] == 0).all()


def test_pairs_have_histograms_on_the_diagonal(frame):
    figure = plot.pairs(frame, ["age", "weight"], by="class")
    diagonal, above = figure.axes[0], figure.axes[1]
    assert sum(heights(diagonal)) == frame["age"].notna().sum()
    assert sum(len(points.get_offsets()) for points in above.collections) == frame["age"].notna().sum()
    assert figure.legends[0].get_title().get_text() == "class"


def test_a_pca_map_has_the_coordinates_of_sklearn(frame):
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    figure = plot.pca_map(frame, ["age", "count", "weight"], label="class")
    places_by_label = {points.get_label(): points.get_offsets() for points in figure.axes[0].collections}
    there = frame.dropna()
    expected = PCA(2).fit_transform(StandardScaler().fit_transform(there[["age", "count", "weight"]]))
    for label, places in places_by_label.items():
        np.testing.assert_allclose(np.abs(places), np.abs(expected[there["class"] == label]), atol=1e-9)


def test_a_tsne_map_keeps_far_groups_apart():
    random = np.random.default_rng(1)
    near = np.vstack([random.normal(0, 0.1, (30, 4)), random.normal(9, 0.1, (30, 4))])
    table = pd.DataFrame(near, columns=list("abcd")).assign(label=["x"] * 30 + ["y"] * 30)
    first, second = (points.get_offsets() for points in plot.tsne_map(table, label="label").axes[0].collections)
    inside = max(np.ptp(first, axis=0).max(), np.ptp(second, axis=0).max())
    assert np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)) > inside


def test_a_map_of_a_very_wide_table_is_drawn(monkeypatch):
    monkeypatch.setattr("clary.data.statistics.samples.SAMPLE_CELLS", 100)  # as if three columns were many
    table = pd.DataFrame(np.random.default_rng(2).normal(size=(1300, 3)), columns=list("abc"))
    points = plot.pca_map(table).axes[0].collections[0].get_offsets()
    assert 900 < len(points) <= 1100


# ---- whatever holds a table ----


def test_batches_and_arrow_tables_are_drawn_as_frames_are(frame):
    expected = heights(plot.hist(frame, "age", bins=7).axes[0])
    table = pa.Table.from_pandas(frame)
    for given_as in (table, Batch.of_pandas(frame), FrameScan(table)):
        assert heights(plot.hist(given_as, "age", bins=7).axes[0]) == expected


def test_columns_of_a_block_are_drawn_by_name():
    batch = Batch({"b": Block(("b_1", "b_2"), np.array([[1.0, 2.0], [3.0, 4.0]]))}, 2)
    assert sum(heights(plot.hist(batch, "b_2", bins=2).axes[0])) == 2


def test_of_a_large_table_a_sample_is_drawn_and_noted():
    table = pd.DataFrame({"x": np.arange(250_000.0)})
    for given_as in (table, FrameScan(*arrow_of_pandas(table))):
        figure = plot.hist(given_as, "x", bins=2)
        rows_drawn = sum(heights(figure.axes[0]))
        assert 99_000 < rows_drawn < 101_000
        assert f"a random sample of {rows_drawn:,} of 250,000 rows" in caption(figure)


def test_what_is_left_out_is_noted(frame):
    table = pd.DataFrame({"x": [1.0, np.inf, np.nan, 2.0]})
    assert "left out of x: 1 missing, 1 infinite" in caption(plot.hist(table, "x"))


def test_nothing_of_pyplot_is_touched(frame):
    from matplotlib import pyplot as plt

    figures = [plot.hist(frame, "age"), plot.heatmap(frame), plot.pairs(frame, ["age", "weight"])]
    assert all(isinstance(figure, Figure) for figure in figures)
    assert len(set(map(id, figures))) == 3
    assert plt.get_fignums() == []


def test_figures_are_drawn_in_many_threads_at_once(frame):
    alone = plot.png(plot.scatter(frame, "age", "weight", by="class"))
    images = []

    def draw():
        images.append(plot.png(plot.scatter(frame, "age", "weight", by="class")))

    threads = [threading.Thread(target=draw) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert images == [alone] * 6


# ---- hostile tables ----


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda t: plot.hist(t, "nope"), "no column 'nope'"),
        (lambda t: plot.hist(t, "word"), "column 'word' cannot be drawn as numbers"),
        (lambda t: plot.hist(t, "empty"), "column 'empty' has nothing to draw: 3 missing"),
        (lambda t: plot.hist(t, 3), "a column's name is text"),
        (lambda t: plot.hist(t, "x", bins=0), "bins"),
        (lambda t: plot.hist(t, "x", bins="nice"), "bins"),
        (lambda t: plot.hist(t, "x", bins=[2.0, 1.0]), "edges"),
        (lambda t: plot.hist(t, "x", bins=[None]), "bins"),
        (lambda t: plot.hist([1, 2], "x"), "list is not a table"),
        (lambda t: plot.box(t, ["x", "y"], by="word"), "give one column"),
        (lambda t: plot.box(t, ["x"] * 13), "too many"),
        (lambda t: plot.box(t[["word"]]), "no column of numbers"),
        (lambda t: plot.scatter(t, "x", "y", trend="magic"), "trend"),
        (lambda t: plot.scatter(t, "x", "empty"), "nothing to draw"),
        (lambda t: plot.heatmap(t, of="kendall"), "of: give"),
        (lambda t: plot.heatmap(np.zeros(3)), "2-D array"),
        (lambda t: plot.heatmap(np.zeros((0, 3))), "nothing to draw"),
        (lambda t: plot.missingness(t.head(0)), "nothing to draw"),
        (lambda t: plot.bars(t, "word", most=0), "most"),
        (lambda t: plot.bars({"a": float("nan")}), "amount of 'a'"),
        (lambda t: plot.bars({}), "no amounts"),
        (plot.bars, "bars: give a column"),
        (lambda t: plot.pca_map(t, ["x"]), "two columns"),
        (lambda t: plot.pca_map(t, ["x", "empty"]), "nothing to draw"),
        (lambda t: plot.tsne_map(t, ["x", "y"]), "four rows"),
        (lambda t: plot.tsne_map(t, ["x", "y"], perplexity=0), "perplexity"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, expected):
    table = pd.DataFrame({"x": [1.0, 2.0, 4.0], "y": [1, 3, 2], "word": ["a", "b", "c"], "empty": [np.nan] * 3})
    with pytest.raises(DataError, match=expected):
        call(table)


values = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 5e-324, 1.7e308, -1.7e308, 1e16, 1e16 + 2, 3.0]),
)
TABLES = st.integers(0, 12).flatmap(
    lambda n: st.fixed_dictionaries(
        {
            "x": st.lists(values, min_size=n, max_size=n),
            "y": st.lists(values, min_size=n, max_size=n),
            "$t$": st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=n, max_size=n),
            "b": st.lists(st.booleans(), min_size=n, max_size=n),
        }
    )
)


@settings(max_examples=25, deadline=None)
@given(TABLES, st.integers(0, 9))
def test_any_table_is_drawn_or_refused(columns, which):
    table = pa.table(columns, pa.schema([("x", "float64"), ("y", "float64"), ("$t$", "string"), ("b", "bool")]))
    calls = [
        lambda: plot.hist(table, "x", by="$t$"),
        lambda: plot.hist(table, "x", log=True),
        lambda: plot.box(table),
        lambda: plot.box(table, "x", by="$t$"),
        lambda: plot.bars(table, "$t$", most=3),
        lambda: plot.scatter(table, "x", "y", by="$t$"),
        lambda: plot.scatter(table, "x", "y", by="x", trend="lowess"),
        lambda: plot.heatmap(table),
        lambda: plot.missingness(table),
        lambda: plot.pca_map(table, label="$t$"),
    ]
    try:
        figure = calls[which]()
    except DataError:
        return
    assert plot.png(figure, dpi=40).startswith(b"\x89PNG")
