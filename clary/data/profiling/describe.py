"""The same tables as pandas' `DataFrame.describe`, from the figures of a profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clary.data.batch import Kind
from clary.data.errors import DataError
from clary.data.profiling.summaries import ColumnSummary

if TYPE_CHECKING:
    import pandas as pd

_QUARTILES = {"25%": 0.25, "50%": 0.5, "75%": 0.75}


def describe(columns: Sequence[ColumnSummary], include: str | None) -> pd.DataFrame:
    """As pandas: numbers and times, or, where there are none, the others; with include="all" every column.

    Raises DataError for another `include`, and for a table without columns.
    """
    import pandas as pd

    if include not in (None, "all"):
        raise DataError(f"include={include!r}: it may be None or 'all'")
    if not columns:
        raise DataError("there is nothing to describe: the table has no columns")
    chosen = list(columns)
    if include is None:
        # As pandas: times with a zone are not among them.
        of_default = [
            column
            for column in columns
            if column.kind is Kind.NUMBER or (column.kind is Kind.TIME and not _zone(column))
        ]
        chosen = of_default or chosen
    described = [_described(column) for column in chosen]
    rows: dict[str, None] = {}
    for each in sorted(described, key=len):
        rows.update(dict.fromkeys(each))
    made = [
        pd.Series(each, name=column.name, dtype=_dtype(each)).reindex(list(rows))
        for column, each in zip(chosen, described, strict=True)
    ]
    table: pd.DataFrame = pd.concat(made, axis=1)
    return table


def _dtype(figures: dict[str, Any]) -> Any:
    return np.float64 if all(isinstance(value, float) for value in figures.values()) else object


def _described(column: ColumnSummary) -> dict[str, Any]:
    if column.kind is Kind.NUMBER and column.numbers is not None:
        numbers = column.numbers
        quartiles = {name: numbers.quantiles[q] for name, q in _QUARTILES.items()}
        spread = {"count": float(column.count), "mean": numbers.mean, "std": numbers.deviation, "min": numbers.low}
        return {**spread, **quartiles, "max": numbers.high}
    if column.times is not None:
        return _times(column)
    top, freq = (column.top[0].value, column.top[0].rows) if column.top else (np.nan, np.nan)
    return {"count": column.count, "unique": column.distinct, "top": top, "freq": freq}


def _zone(column: ColumnSummary) -> str | None:
    return column.type.partition("tz=")[2].rstrip("]") or None


def _times(column: ColumnSummary) -> dict[str, Any]:
    import pandas as pd

    assert column.times is not None
    zone = _zone(column)

    def at(microseconds: float) -> Any:
        if np.isnan(microseconds):
            return pd.NaT
        moment = pd.Timestamp(np.datetime64(round(microseconds), "us"))
        return moment.tz_localize("UTC").tz_convert(zone) if zone else moment

    quartiles = {name: at(column.times.quantiles[q]) for name, q in _QUARTILES.items()}
    return {
        "count": column.count,
        "mean": at(column.times.mean),
        "min": at(column.times.first),
        **quartiles,
        "max": at(column.times.last),
    }
