"""The encoding of a text file, by its first bytes."""

from __future__ import annotations

import codecs
import re
from collections import Counter

from clary.data.errors import ReadError
from clary.data.notes import Note

HEAD_BYTES = 1 << 18
_MARKS: tuple[tuple[bytes, str], ...] = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"))
_MARKS += ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_UNUSED_IN_1252 = b"\x81\x8d\x8f\x90\x9d"


def encoding_of(head: bytes, given: str | None, notes: list[Note]) -> str:
    """The encoding, guessed where none is given; utf-8 in case of doubt. Raises ReadError for an unknown encoding."""
    if given is not None:
        try:
            name = codecs.lookup(given).name
        except LookupError:
            raise ReadError(f"encoding={given!r} is not known to Python") from None
        # A byte order mark is skipped either way; then the bytes need no decoding.
        return "utf-8" if name in ("utf-8-sig", "ascii") else name
    for mark, name in _MARKS:
        if head.startswith(mark):
            notes.append(Note(f"The file is in {name}."))
            return name
    if len(head) > 3:
        zeros = Counter(place % 2 for place, letter in enumerate(head[:1000]) if not letter)
        half = min(len(head), 1000) // 2
        for place, name in ((1, "utf-16-le"), (0, "utf-16-be")):
            if zeros[place] > 0.7 * half and zeros[1 - place] < 0.1 * half:
                notes.append(Note(f"The file has no byte order mark; it was read as {name}."))
                return name
    if _is_utf8(head):
        return "utf-8"
    name = "latin-1" if any(letter in head for letter in _UNUSED_IN_1252) else "cp1252"
    notes.append(Note(f"The file is not in UTF-8; it was read as {name}. Give encoding= if that is wrong."))
    return name


def encoding_of_json(head: bytes, given: str | None, notes: list[Note]) -> str:
    """UTF-8, unless it is given, or UTF-16 or 32, which JSON may be in too. Raises ReadError."""
    new_notes: list[Note] = []
    found = encoding_of(head, given, new_notes)
    if given is None and not found.startswith("utf"):
        return "utf-8"
    notes += new_notes
    return found


def _is_utf8(head: bytes) -> bool:
    """Whether it is UTF-8, but for a few invalid bytes among many characters."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(head, final=len(head) < HEAD_BYTES)
    faults = text.count("\ufffd") - head.count("\ufffd".encode())
    letters = len(re.findall(rb"[\xc2-\xf4][\x80-\xbf]+", head)) if faults else 0
    return not faults or letters > 10 * faults
