import json
from datetime import UTC, datetime

import pytest

from clary.core.errors import SerializationException
from clary.wire import json11


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b'{"a": 1} x', "not valid JSON"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        ('{"a": "é"}'.encode("latin-1"), "not UTF-8"),
        ("\ufeff{}".encode(), "not valid JSON"),
        (b"[]", "must be a JSON object, not a list"),
        (b"null", "must be a JSON object, not null"),
        (b'"x"', "must be a JSON object, not a string"),
        (b"7", "must be a JSON object, not a number"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "not valid JSON"),
        (b'{"a": ' + b"[" * 200_000, "nested too deeply"),
        (b'{"a": {"b": 1, "c": 2, "b": 3}}', "Duplicate field 'b'"),
    ],
)
def test_other_bodies_than_a_json_object_are_refused(body, text):
    with pytest.raises(SerializationException) as caught:
        json11.parse(body)
    assert text in caught.value.message


def test_an_empty_body_is_an_empty_request():
    assert json11.parse(b"") == json11.parse(b" {} ") == {}


def test_answers_have_epoch_seconds_and_nothing_absent():
    noon = datetime(2024, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)
    output = {"At": noon, "None": None, "Deep": [{"None": None, "Naive": noon.replace(tzinfo=None)}], "Bytes": b"hi"}
    assert json.loads(json11.write(output)) == {
        "At": 1706702400.5,
        "Deep": [{"Naive": 1706702400.5}],
        "Bytes": "aGk=",
    }


def test_answers_can_be_written_whatever_is_in_them():
    body = json11.write({"a": float("nan"), "b": float("-inf"), "c": "é\ud800"})
    assert json.loads(body) == {"a": "NaN", "b": "-Infinity", "c": "é?"}
