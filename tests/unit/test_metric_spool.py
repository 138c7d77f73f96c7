"""Spool files of metrics: what is appended, and when a file has no writer any more."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.core.metrics import Sample, Series, Spool, from_line, is_abandoned, to_line

T0 = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LOSS = Series.of("/aws/sagemaker/TrainingJobs", "train:loss", {"TrainingJobName": "j1"})

TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.builds(Series.of, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=3), TEXT),
    st.one_of(
        st.builds(Sample.value, st.just(T0), NUMBER),
        st.builds(Sample, st.just(T0), NUMBER, st.floats(1, 1e9), NUMBER, NUMBER, st.integers(1, 3600)),
    ),
)
def test_a_line_is_read_as_it_was_written(series, sample):
    line = to_line(series, sample)
    assert line.count("\n") == 1
    assert from_line(line) == (series, sample)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "not JSON",
        "[]",
        "null",
        "{}",
        '{"namespace": "n", "name": "m", "dimensions": {}, "at": 1e300, "value": 1}',
        '{"namespace": "n", "name": "m", "dimensions": {}, "at": 1, "value": NaN}',
        '{"namespace": "n", "name": "m", "dimensions": {}, "at": 1, "value": "x"}',
        '{"namespace": "n", "name": "m", "dimensions": [], "at": 1, "value": 1}',
        '{"namespace": "n", "name": "m", "dimensions": {"a": 1}, "at": 1, "value": 1}',
        '{"namespace": 1, "name": "m", "dimensions": {}, "at": 1, "value": 1}',
        '{"namespace": "n", "name": "m", "dimensions": {}, "at": 1, "sum": 1, "count": 1, "min": 1, "max": 1}',
        '{"namespace": "n", "name": "m", "dimensions": {}, "at": 1, "period_s": 9, "sum": 1, "count": 0, "min": 1, '
        '"max": 1}',
        "[" * 100_000,
    ],
)
def test_any_other_line_is_refused(line):
    with pytest.raises(ValueError, match="not a line of metrics"):
        from_line(line)


def test_a_file_is_made_by_the_first_sample_and_has_its_writer_until_it_is_closed(tmp_path):
    spool = Spool(tmp_path / "metrics", "job")
    spool.append([])
    assert not spool.path.exists()
    spool.append([(LOSS, Sample.value(T0, 1.0))])
    spool.append([(LOSS, Sample.value(T0, 2.0)), (LOSS, Sample.value(T0, 3.0))])
    assert [from_line(line)[1].sum for line in spool.path.read_text().splitlines()] == [1.0, 2.0, 3.0]
    assert not is_abandoned(spool.path)
    spool.close()
    assert is_abandoned(spool.path)


def test_on_a_full_disk_nothing_is_half_appended(tmp_path, monkeypatch):
    spool = Spool(tmp_path, "job")
    spool.append([(LOSS, Sample.value(T0, 1.0))])
    before = spool.path.read_bytes()
    write = os.write

    def half(descriptor, data):
        if len(data) > 100:
            return write(descriptor, data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("clary.core.metrics.os.write", half)
    with pytest.raises(OSError, match="No space"):
        spool.append([(LOSS, Sample.value(T0, 2.0))])
    assert spool.path.read_bytes() == before
    monkeypatch.undo()
    spool.append([(LOSS, Sample.value(T0, 2.0))])
    assert len(spool.path.read_text().splitlines()) == 2


def test_a_file_removed_before_its_writer_locked_it_is_made_again(tmp_path, monkeypatch):
    spool = Spool(tmp_path, "job")
    flock = []

    def removed_meanwhile(descriptor, how):
        if not flock:
            spool.path.unlink()
        flock.append(how)

    monkeypatch.setattr("clary.core.metrics.fcntl.flock", removed_meanwhile)
    spool.append([(LOSS, Sample.value(T0, 1.0))])
    assert spool.path.exists()
    assert len(flock) == 2
