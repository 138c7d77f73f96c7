"""Steps on categories, dates and texts meet any table: they make something of it, or say what is wrong."""

from __future__ import annotations

import contextlib

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.data.errors import DataError
from clary.data.recipe.recipe import Recipe

VALUES = {
    pa.float64(): st.floats(),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.int8(): st.integers(-3, 3),
    pa.bool_(): st.booleans(),
    pa.string(): st.one_of(st.text(max_size=5), st.sampled_from(["a", "nan", "other"])),
    pa.timestamp("us"): st.integers(-(2**63) + 1, 2**63 - 1),
    pa.decimal128(10, 2): st.decimals(-100, 100, places=2),
    pa.list_(pa.int64()): st.lists(st.integers(0, 3)),
    pa.null(): st.none(),
}
STEPS = [
    {"ordinal": {}},
    {"ordinal": {"unknown": "missing", "order": "frequency"}},
    {"one_hot": {}},
    {"one_hot": {"unknown": "other", "dummy_na": True, "min_count": 2}},
    {"one_hot": {"unknown": "error", "drop_first": True, "sparse": True}},
    {"rare": {"min_count": 2}},
    {"hash": {"n_features": 5}},
    {"hash": {"n_features": 300}},
    {"target_encode": {}},
    {"target_encode": {"target_type": "continuous", "smooth": 0}},
    {"target_encode": {"target_type": "multiclass"}},
    {"similarity_encode": {}},
    {"date_parts": {"parts": ["year", "week", "is_quarter_end", "hour"]}},
    {"cyclic": {"period": 7}},
    {"elapsed": {"since": "2020-01-01"}},
    {"clean_text": {"html": True, "strip_accents": True}},
    {"tokenize": {}},
    {"stop_words": {"language": "german"}},
    {"n_grams": {}},
    {"text_length": {}},
    {"popular_words": {}},
    {"tf_idf": {"ngram_range": [1, 2], "token_pattern": "\\S+"}},
    {"tf_idf": {"analyzer": "char_wb"}},
    {"hash_text": {"n_features": 3}},
]


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 5))
    names = draw(st.lists(st.text(max_size=3), min_size=2, max_size=4, unique=True))
    columns = {}
    for name in names:
        kind = draw(st.sampled_from(list(VALUES)))
        values = draw(st.lists(st.one_of(st.none(), VALUES[kind]), min_size=rows, max_size=rows))
        column = pa.array(values, kind)
        encode = pa.types.is_string(kind) and draw(st.booleans())
        columns[name] = column.dictionary_encode() if encode else column
    return pa.table(columns)


@settings(max_examples=150, deadline=None)
@given(tables(), tables(), st.sampled_from(STEPS), st.sampled_from(["all", "first", "default"]), st.booleans())
def test_no_table_ends_in_anything_but_features_or_a_data_error(table, other, step, chosen, with_target):
    ((name, parameters),) = step.items()
    columns = {"all": {"columns": "all"}, "first": {"columns": [table.column_names[0]]}, "default": {}}[chosen]
    target = table.column_names[-1] if with_target or name == "target_encode" else ""
    with contextlib.suppress(DataError):
        fitted = Recipe([{name: {**parameters, **columns}}], target=target).fit(table)
        assert len(fitted.transform(table)) == len(table)
        fitted.transform(table, training=True)
        names = [*table.column_names[:1], *(f"other {place}" for place in range(1, other.num_columns))]
        fitted.transform(other.rename_columns(names))
