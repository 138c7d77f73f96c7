"""Metrics in SQLite or PostgreSQL."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, and_, case, delete, func, insert, literal, select, type_coerce, update
from sqlalchemy.dialects import sqlite

from clary.core.errors import StaleWrite
from clary.core.metrics import Sample, Series
from clary.store.codec import decode_time, encode_time
from clary.store.database import Database
from clary.store.metrics.base import FIVE_MINUTES, HIGH_RESOLUTION, HOURS, MINUTES, SINGLE_VALUES, Retention
from clary.store.metrics.schema import metric_samples, metric_series, metric_sources

# Series whose samples one transaction replaces: others that write wait for it.
SERIES_AT_ONCE = 100

_KEY = ("series_id", "period_s", "at", "place")
_STATISTICS = (
    func.sum(metric_samples.c.sum),
    func.sum(metric_samples.c.count),
    func.min(metric_samples.c.minimum),
    func.max(metric_samples.c.maximum),
)


class SqlMetricStore:
    """A MetricStore over a database whose tables are there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, samples: Sequence[tuple[Series, Sample]], source: str = "", start: int = 0, end: int = 0
    ) -> None:
        await self._database.write(_put, samples, source, start, end)

    async def position(self, source: str) -> int:
        return await self._database.read(_position, source)

    async def forget_source(self, source: str) -> None:
        await self._database.write(_forget_source, source)

    async def read(self, series: Series, start: datetime, end: datetime, period_s: int = 0) -> Sequence[Sample]:
        return await self._database.read(_read, series, start, end, period_s)

    async def series(
        self, namespace: str, name: str | None = None, dimensions: Sequence[tuple[str, str]] | None = None
    ) -> Sequence[Series]:
        return await self._database.read(_series, namespace, name, dimensions)

    async def downsample(self, now: datetime, retention: Retention) -> None:
        ids = await self._database.read(_all_ids)
        for first in range(0, len(ids), SERIES_AT_ONCE):
            await self._database.write(_downsample, ids[first : first + SERIES_AT_ONCE], now, retention)


def _put(connection: Connection, samples: Sequence[tuple[Series, Sample]], source: str, start: int, end: int) -> None:
    if source:
        _advance(connection, source, start, end)
    ids = _ids(connection, {series for series, _ in samples})
    rows = [
        {
            "series_id": ids[series],
            "period_s": _kept_under(sample.period_s),
            "at": sample.at,
            "place": start + index,
            "sum": sample.sum,
            "count": sample.count,
            "minimum": sample.minimum,
            "maximum": sample.maximum,
        }
        for index, (series, sample) in enumerate(samples)
    ]
    if rows:
        connection.execute(_merge(connection), rows)


def _advance(connection: Connection, source: str, start: int, end: int) -> None:
    """Move a source's position from start to end. Raises StaleWrite where it is not at start."""
    at_start = and_(metric_sources.c.source == source, metric_sources.c.position == start)
    if connection.execute(update(metric_sources).where(at_start).values(position=end)).rowcount:
        return
    if start or _position(connection, source):
        raise StaleWrite(f"{source} has been read to another byte than {start}")
    connection.execute(insert(metric_sources).values(source=source, position=end))


def _kept_under(period_s: int) -> int:
    periods = (HOURS, FIVE_MINUTES, MINUTES, HIGH_RESOLUTION, SINGLE_VALUES)
    return next(period for period in periods if period_s >= period)


def _insert(connection: Connection, table: Any) -> Any:
    """An INSERT that may say what to do where the key exists; SQLAlchemy has none for all databases."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # megabytes that a server with SQLite does without

    return postgresql.insert(table)


def _merge(connection: Connection) -> Any:
    """An INSERT of samples that adds to those of the same key."""
    statement = _insert(connection, metric_samples)
    old, new = metric_samples.c, statement.excluded
    return statement.on_conflict_do_update(
        index_elements=_KEY,
        set_={
            "sum": old.sum + new.sum,
            "count": old.count + new.count,
            "minimum": case((new.minimum < old.minimum, new.minimum), else_=old.minimum),
            "maximum": case((new.maximum > old.maximum, new.maximum), else_=old.maximum),
        },
    )


def _ids(connection: Connection, wanted: Iterable[Series]) -> dict[Series, int]:
    """The row of each series, made where there is none."""
    by_dimensions: defaultdict[tuple[str, str], list[Series]] = defaultdict(list)
    for series in wanted:
        by_dimensions[series.namespace, _encode(series.dimensions)].append(series)
    ids: dict[Series, int] = {}
    for (namespace, dimensions), all_series in by_dimensions.items():
        found = _rows_of(connection, namespace, dimensions)
        missing = [series for series in all_series if (series.name, series.unit) not in found]
        if missing:
            rows = [
                {"namespace": namespace, "dimensions": dimensions, "name": series.name, "unit": series.unit}
                for series in missing
            ]
            # Another server may make the same ones at this moment.
            connection.execute(_insert(connection, metric_series).on_conflict_do_nothing(), rows)
            found = _rows_of(connection, namespace, dimensions)
        ids |= {series: found[series.name, series.unit] for series in all_series}
    return ids


def _rows_of(connection: Connection, namespace: str, dimensions: str) -> dict[tuple[str, str], int]:
    columns = metric_series.c
    of_dimensions = and_(columns.namespace == namespace, columns.dimensions == dimensions)
    found = connection.execute(select(columns.name, columns.unit, columns.id).where(of_dimensions))
    return {(name, unit): series_id for name, unit, series_id in found}


def _position(connection: Connection, source: str) -> int:
    position = select(metric_sources.c.position).where(metric_sources.c.source == source)
    return connection.execute(position).scalar() or 0


def _forget_source(connection: Connection, source: str) -> None:
    connection.execute(delete(metric_sources).where(metric_sources.c.source == source))


def _read(connection: Connection, series: Series, start: datetime, end: datetime, period_s: int) -> Sequence[Sample]:
    columns = metric_samples.c
    series_id = _rows_of(connection, series.namespace, _encode(series.dimensions)).get((series.name, series.unit))
    # By period first, as the key is: a condition on the moment alone would read the whole series.
    periods = columns.period_s.in_((SINGLE_VALUES, HIGH_RESOLUTION, MINUTES, FIVE_MINUTES, HOURS))
    in_range = and_(columns.series_id == series_id, periods, columns.at >= start, columns.at < end)
    if not period_s:
        statistics = (columns.sum, columns.count, columns.minimum, columns.maximum)
        stored = select(columns.at, *statistics, columns.period_s).where(in_range).order_by(columns.at, columns.place)
        return [Sample(*row) for row in connection.execute(stored)]
    begin = _begin_of_period(period_s)
    grouped = select(begin, *_STATISTICS).where(in_range).group_by(begin).order_by(begin)
    return [
        Sample(decode_time(at), total, count, minimum, maximum, period_s)
        for at, total, count, minimum, maximum in connection.execute(grouped)
    ]


def _begin_of_period(period_s: int) -> Any:
    """The begin of the period a sample lies in, microseconds since 1970."""
    micros = type_coerce(metric_samples.c.at, BigInteger)  # as it is stored
    return micros - micros % literal(period_s * 1_000_000, BigInteger)


def _series(
    connection: Connection, namespace: str, name: str | None, dimensions: Sequence[tuple[str, str]] | None
) -> Sequence[Series]:
    columns = metric_series.c
    conditions = [columns.namespace == namespace]
    if name is not None:
        conditions.append(columns.name == name)
    if dimensions is not None:
        conditions.append(columns.dimensions == _encode(tuple(sorted(dimensions))))
    found = select(columns.namespace, columns.name, columns.dimensions, columns.unit).where(*conditions)
    return sorted(
        (Series(space, named, _decode(text), unit) for space, named, text, unit in connection.execute(found)),
        key=lambda series: (series.name, series.dimensions, series.unit),
    )


def _all_ids(connection: Connection) -> list[int]:
    return list(connection.execute(select(metric_series.c.id).order_by(metric_series.c.id)).scalars())


def _downsample(connection: Connection, ids: Sequence[int], now: datetime, retention: Retention) -> None:
    columns = metric_samples.c
    for period, kept_for, longer in retention.steps():
        # Whole periods only: a period is replaced once, not while some of its samples are still to be kept.
        limit = _floor(now - kept_for, longer or period)
        old = and_(columns.series_id.in_(ids), columns.period_s == period, columns.at < limit)
        if longer is not None:
            begin = _begin_of_period(longer)
            grouped = select(columns.series_id, begin, *_STATISTICS).where(old).group_by(columns.series_id, begin)
            names = ("sum", "count", "minimum", "maximum")
            rows = [
                {"series_id": row[0], "period_s": longer, "at": decode_time(row[1]), "place": 0}
                | dict(zip(names, row[2:], strict=True))
                for row in connection.execute(grouped)
            ]
            if rows:
                connection.execute(_merge(connection), rows)
        connection.execute(delete(metric_samples).where(old))
    of_series = select(columns.series_id).where(columns.series_id == metric_series.c.id)
    connection.execute(delete(metric_series).where(metric_series.c.id.in_(ids), ~of_series.exists()))


def _floor(moment: datetime, period_s: int) -> datetime:
    micros = encode_time(moment)
    return decode_time(micros - micros % (period_s * 1_000_000))


def _encode(dimensions: Sequence[tuple[str, str]]) -> str:
    return json.dumps([list(pair) for pair in dimensions], separators=(",", ":"))


def _decode(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in json.loads(text))
