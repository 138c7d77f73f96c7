"""A table as people have them: numbers with outliers and gaps, categories of 4 to 10,000 levels, text, dates.

Nothing of it is real; what it looks like is: skewed prices, a rating few give, cities of which some have most rows,
a comment that is often missing. The same rows for the same seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, parquet

CHUNK_ROWS = 250_000
SENTENCE = (
    "the a of and to in is was for on with not very good bad slow fast late early broken perfect product delivery "
    "service price quality box again never always would buy return refund support friendly rude size colour fits small "
    "large cheap expensive works stopped after two weeks days month great poor happy sad recommend gift for my mother"
)


def orders(rows: int, seed: int = 0) -> Iterator[pa.RecordBatch]:
    """20 columns; `churned` is what one would predict, from some of them and from chance."""
    cities = np.array([f"city {number:05d}" for number in range(10_000)])
    for number, start in enumerate(range(0, rows, CHUNK_ROWS)):
        yield _chunk(np.random.default_rng([seed, number]), start, min(CHUNK_ROWS, rows - start), cities)


def _chunk(draw: np.random.Generator, start: int, n: int, cities: NDArray[np.str_]) -> pa.RecordBatch:
    income = draw.lognormal(10.4, 0.6, n)
    income[draw.random(n) < 0.001] *= 100  # typing errors
    age = np.clip(draw.normal(44, 16, n), 18, 99).round()
    price = draw.lognormal(3.2, 1.1, n).round(2) + 0.01
    quantity = draw.poisson(2.5, n)
    rating = draw.choice([1.0, 2.0, 3.0, 4.0, 5.0], n, p=[0.1, 0.05, 0.15, 0.3, 0.4])
    temperature = draw.normal(11, 8, n).round(1)
    score = np.where(draw.random(n) < 0.6, 0.0, draw.gamma(2.0, 10.0, n).round(3))
    created = np.datetime64("2019-01-01", "s") + draw.integers(0, 6 * 365 * 86_400, n).astype("timedelta64[s]")
    born = created.astype("datetime64[D]") - (age * 365.25).astype("timedelta64[D]")
    logit = 0.03 * (age - 44) - 0.4 * (rating - 3.5) + 0.5 * np.log(price) - 2 + draw.normal(size=n)
    columns = {
        "order_id": pa.array(np.arange(start, start + n)),
        "age": _gaps(draw, age, 0.06),
        "income": _gaps(draw, income.round(2), 0.12),
        "price": pa.array(price),
        "quantity": pa.array(quantity),
        "rating": _gaps(draw, rating, 0.4),
        "temperature": _gaps(draw, temperature, 0.03),
        "latitude": pa.array(draw.uniform(-60, 75, n).round(5)),
        "longitude": pa.array(draw.uniform(-180, 180, n).round(5)),
        "score": pa.array(score),
        "active": pa.array(draw.random(n) < 0.7),
        "region": _levels(draw, ["north", "east", "south", "west", "centre"], n),
        "plan": _levels(draw, [f"plan {letter}" for letter in "ABCDEFGHIJKLMNOP"], n, gaps=0.02),
        "country": _levels(draw, [f"country {number:02d}" for number in range(40)], n, skew=1.0),
        "product": _levels(draw, [f"product {number:04d}" for number in range(1_000)], n, skew=0.8),
        "city": _levels(draw, cities, n, skew=0.6, gaps=0.01),
        "comment": _comments(draw, n),
        "created": pa.array(created.astype("datetime64[us]")),
        "born": pa.array(born),
        "churned": pa.array((draw.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int64)),
    }
    return pa.RecordBatch.from_pydict(columns)


def _gaps(draw: np.random.Generator, values: NDArray[np.float64], share: float) -> pa.Array:
    return pa.array(values, mask=draw.random(len(values)) < share)


def _levels(
    draw: np.random.Generator, names: list[str] | NDArray[np.str_], n: int, *, skew: float = 0.3, gaps: float = 0.0
) -> pa.Array:
    """Frequencies as of words in a language: the k-th level has a share of about 1/k^skew."""
    weights = 1 / np.arange(1, len(names) + 1) ** skew
    codes = np.searchsorted(np.cumsum(weights / weights.sum()), draw.random(n)).astype(np.int32)
    mask = draw.random(n) < gaps if gaps else None
    array = pa.DictionaryArray.from_arrays(pa.array(codes, mask=mask), pa.array(names, pa.string()))
    return array.dictionary_decode()


def _comments(draw: np.random.Generator, n: int) -> pa.Array:
    """3 to 12 words; two rows in three have none."""
    count = n // 3
    lengths = draw.integers(3, 13, count)
    known = SENTENCE.split()
    words = pa.array(known).take(pa.array(draw.integers(0, len(known), int(lengths.sum()))))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    texts = pa.compute.binary_join(pa.ListArray.from_arrays(pa.array(offsets), words), " ")
    places = np.full(n, -1, np.int32)
    places[np.sort(draw.choice(n, count, replace=False))] = np.arange(count)
    return texts.take(pa.array(places, mask=places < 0))


def write(folder: Path, rows: int, *, as_csv: bool = False) -> Path:
    """The table as one file; the same again where it is there already. Row groups of 250,000 rows."""
    path = folder / f"orders-{rows}.{'csv' if as_csv else 'parquet'}"
    if path.exists():
        return path
    made = path.with_suffix(".part")
    schema = next(orders(1)).schema
    writer = csv.CSVWriter(made, schema) if as_csv else parquet.ParquetWriter(made, schema)
    with writer:
        for batch in orders(rows):
            writer.write_batch(batch)
    return made.rename(path)
