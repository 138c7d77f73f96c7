"""The forms in which AWS lets a caller name an object.

    s3://bucket/key
    https://s3.us-east-1.amazonaws.com/bucket/key     path style; s3.amazonaws.com, s3-us-east-1…, s3.dualstack… too
    https://bucket.s3.us-east-1.amazonaws.com/key     virtual-host style
Reference: Amazon S3 User Guide, "Virtual hosting of buckets".
"""

from __future__ import annotations

import re
from urllib.parse import unquote

# Wider than today's rule for new buckets (older ones have capitals and underscores), yet never a path.
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_HOST = re.compile(
    r"(?:(?P<bucket>[^/]+)\.)?s3(?:[.-](?:dualstack\.)?(?!dualstack)[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?",
    re.IGNORECASE,
)
KEY_BYTES = 1024  # S3's limit on a key, in UTF-8


def parse(uri: str) -> tuple[str, str]:
    """Bucket and key; the key may be empty. Raises ValueError, its text the fault of the URI."""
    _check_text(uri)
    if uri.startswith("s3://"):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
    elif uri.startswith("https://"):
        bucket, key = _from_url(uri)
    else:
        raise ValueError(f'"{uri}" is not an S3 URI: it must have the form s3://bucket/key')
    if not BUCKET.fullmatch(bucket):
        raise ValueError(
            f'"{uri}" is not an S3 URI: "{bucket}" cannot be a bucket\'s name (letters, digits, ".", "-" and "_")'
        )
    if len(key.encode()) > KEY_BYTES:
        raise ValueError(f'"{uri[:64]}…" is not an S3 URI: its key is longer than {KEY_BYTES} bytes')
    return bucket, key


def _check_text(uri: str) -> None:
    try:
        uri.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{uri!a} is not an S3 URI: it is not valid Unicode") from None
    if "\0" in uri:
        raise ValueError(f"{uri!a} is not an S3 URI: it holds a NUL character")


def _from_url(uri: str) -> tuple[str, str]:
    host, _, path = uri.removeprefix("https://").partition("/")
    if "?" in uri or "#" in uri:
        raise ValueError(f'"{uri}" is not an S3 URI: an https:// form may have no "?" or "#"; write s3://bucket/key')
    if not (found := _HOST.fullmatch(host)):
        raise ValueError(
            f'"{uri}" is not an S3 URI: the host of an https:// form must be S3\'s own, such as '
            "s3.us-east-1.amazonaws.com; write s3://bucket/key"
        )
    path = unquote(path, errors="strict")  # UnicodeDecodeError is a ValueError, and names the byte
    _check_text(path)
    if found["bucket"]:
        return found["bucket"], path
    bucket, _, key = path.partition("/")
    return bucket, key
