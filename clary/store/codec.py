"""Between what callers hand in and what every database can hold.

JSON is kept as text, in ASCII: PostgreSQL's own JSON types refuse what JSON allows (a NUL, half a surrogate pair), and
text gives back big integers and the order of members as they came. Plain text may hold the same characters (a program
prints what it likes, and its last words become a FailureReason), so they are written as escapes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from clary.core.records import JSON, Record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ESCAPE = "\x10"  # DLE, data link escape
_UNSTORABLE = re.compile(f"[\x00{_ESCAPE}\ud800-\udfff]")
_ESCAPED = re.compile(f"{_ESCAPE}([0-9a-f]{{4}})")


def escape(text: str) -> str:
    """Text as a database holds it: without NUL and lone surrogates. `unescape` gives it back."""
    if text.isprintable():  # as nearly all are; what has to be escaped is not
        return text
    return _UNSTORABLE.sub(lambda match: f"{_ESCAPE}{ord(match[0]):04x}", text)


def unescape(text: str) -> str:
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)


def encode_time(moment: datetime) -> int:
    """Microseconds since 1970, UTC: exact, and in order, wherever they are stored."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone: a record's times are aware")
    return (moment - _EPOCH) // _MICROSECOND


def decode_time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def encode_json(members: Mapping[str, JSON]) -> str:
    """Raises ValueError for what JSON cannot express: NaN, an infinity, an object of Python's own, endless nesting."""
    try:
        return json.dumps(dict(members), allow_nan=False, separators=(",", ":"))
    except (TypeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error


def decode_json(text: str) -> dict[str, JSON]:
    members: dict[str, JSON] = json.loads(text)
    return members


def is_indexed(path: Sequence[str]) -> bool:
    """Whether records are found by this member without being read: text, at the top of spec or state."""
    return len(path) == 2


def digest(kind: str, path: Sequence[str], value: str) -> bytes:
    """Stands for "a record of this kind has this text there"; nobody can make two that are alike."""
    return hashlib.blake2b(json.dumps([kind, *path, value]).encode(), digest_size=16).digest()


def members(record: Record) -> set[bytes]:
    """The digests under which a record is found by `Query.equals`."""
    return {
        digest(record.kind, (top, name), value)
        for top, content in (("spec", record.spec), ("state", record.state))
        for name, value in _texts(content)
    }


def _texts(content: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in content.items() if isinstance(value, str))


def member(record: Record, path: Sequence[str]) -> JSON:
    """What a record has there; None where there is no such member."""
    found: JSON = {"spec": record.spec, "state": record.state}
    for name in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found
