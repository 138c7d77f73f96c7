"""The tables of metrics.

`metric_series` says what is measured, `metric_samples` holds statistic sets under the period they stand for,
`metric_sources` up to where a file of samples has been read: it moves in the transaction that keeps what was read.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Integer, Table, Text, UniqueConstraint

from clary.store.schema import AnyText, Moment, RowId, metadata

metric_series = Table(
    "metric_series",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("namespace", AnyText(), nullable=False),
    Column("dimensions", Text, nullable=False),  # JSON, ASCII: pairs in the order of their names
    Column("name", AnyText(), nullable=False),
    Column("unit", AnyText(), nullable=False),
    UniqueConstraint("namespace", "dimensions", "name", "unit"),
)

metric_samples = Table(
    "metric_samples",
    metadata,
    Column(
        "series_id",
        RowId,
        ForeignKey(metric_series.c.id, ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("period_s", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment(), primary_key=True),
    # Tells values of one moment apart that stand for themselves: where in its source each was read.
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("sum", Double, nullable=False),
    Column("count", Double, nullable=False),
    Column("minimum", Double, nullable=False),
    Column("maximum", Double, nullable=False),
    sqlite_with_rowid=False,
)

metric_sources = Table(
    "metric_sources",
    metadata,
    Column("source", AnyText(), primary_key=True),
    Column("position", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
