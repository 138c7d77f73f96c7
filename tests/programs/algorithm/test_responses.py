"""Answers per row, in the formats that algorithms share."""

from __future__ import annotations

import json

from clary.formats.recordio import parse_record, records
from clary.tasks.algorithm.responses import RECORDIO_PROTOBUF, encode_records

ROWS = [{"score": 0.5, "predicted_label": 0}, {"score": [0.25, 0.75], "predicted_label": 1}]


def test_json_has_an_envelope() -> None:
    assert json.loads(encode_records(ROWS, "application/json")) == {"predictions": ROWS}
    assert json.loads(encode_records(ROWS, "application/json", "projections")) == {"projections": ROWS}


def test_json_lines_have_a_record_each() -> None:
    assert [json.loads(line) for line in encode_records(ROWS, "application/jsonlines").splitlines()] == ROWS


def test_records_have_labels() -> None:
    labels = [parse_record(record)[1] for record in records(encode_records(ROWS, RECORDIO_PROTOBUF))]
    assert [label["score"][0].tolist() for label in labels] == [[0.5], [0.25, 0.75]]
    assert [label["predicted_label"][0].tolist() for label in labels] == [[0], [1]]
