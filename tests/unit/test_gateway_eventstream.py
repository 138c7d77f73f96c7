"""Frames as AWS's own parser reads them."""

import json

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from clary.gateway import eventstream


def read(data: bytes) -> list:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return list(buffer)


@given(st.lists(st.binary(max_size=2000), max_size=5))
def test_chunks_come_back(chunks):
    events = read(b"".join(eventstream.payload_part(chunk) for chunk in chunks))
    assert [event.payload for event in events] == chunks
    for event in events:
        assert event.headers == {
            ":event-type": "PayloadPart",
            ":content-type": "application/octet-stream",
            ":message-type": "event",
        }


def test_a_large_chunk():
    chunk = bytes(1_000_000)
    assert read(eventstream.payload_part(chunk))[0].payload == chunk


@pytest.mark.parametrize(
    ("frame", "kind", "payload"),
    [
        (
            eventstream.failure("ModelStreamError", "m", "StreamBroken"),
            "ModelStreamError",
            {"Message": "m", "ErrorCode": "StreamBroken"},
        ),
        (eventstream.failure("InternalStreamFailure", "ü"), "InternalStreamFailure", {"Message": "ü"}),
    ],
)
def test_failures(frame, kind, payload):
    [event] = read(frame)
    assert event.headers[":message-type"] == "exception"
    assert event.headers[":exception-type"] == kind
    assert json.loads(event.payload) == payload


def test_a_flipped_bit_is_noticed():
    frame = bytearray(eventstream.payload_part(b"payload"))
    frame[-6] ^= 1
    with pytest.raises(Exception, match="Checksum"):
        read(bytes(frame))
