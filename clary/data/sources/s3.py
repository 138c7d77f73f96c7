"""Objects in S3, by boto3's default session: AWS_ENDPOINT_URL_S3 and the like apply as to any client."""

from __future__ import annotations

import fnmatch
import io
from typing import Any
from urllib.parse import urlsplit

from clary.data.errors import ReadError
from clary.data.sources.input_file import InputFile

READ_BYTES = 8 << 20
_WILD = frozenset("*?[")


def client() -> Any:
    """A client. Raises ReadError where boto3 finds no region or the like."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    try:
        # Ranges are read, and servers send the checksum of the whole object with them.
        return boto3.client("s3", config=Config(response_checksum_validation="when_required"))
    except (BotoCoreError, ValueError) as error:
        raise ReadError(f"no S3 client can be made: {error}") from None


def split(uri: str) -> tuple[str, str]:
    """(bucket, key). Raises ReadError."""
    parts = urlsplit(uri, allow_fragments=False)
    key = uri[len("s3://") + len(parts.netloc) :].lstrip("/")
    if not parts.netloc:
        raise ReadError(f"{uri} names no bucket")
    return parts.netloc, key


def s3_files(uri: str) -> list[InputFile]:
    """The object, or all below the prefix, or all that match the glob. Raises ReadError where there is none."""
    bucket, key = split(uri)
    s3 = client()
    wild = bool(_WILD & set(key))
    if key and not key.endswith("/") and (size := _size(s3, bucket, key)) is not None:
        return [_s3_file(s3, bucket, key, size, key.rsplit("/", 1)[-1])]
    prefix = key
    if wild:
        prefix = key[: min(key.find(mark) for mark in _WILD if mark in key)]
    elif key and not key.endswith("/"):
        prefix = key + "/"
    found = sorted(_listed(s3, bucket, prefix))
    root = prefix[: prefix.rfind("/") + 1]
    kept = [
        _s3_file(s3, bucket, name, size, name[len(root) :])
        for name, size in found
        if not any(part[:1] in (".", "_") for part in name[len(root) :].split("/"))
        and not name.endswith("/")
        and (not wild or fnmatch.fnmatchcase(name, key))
    ]
    if not kept:
        raise ReadError(f"no object matches {uri}" if wild else f"there is no object {uri}, and none below it")
    return kept


def _read_error(error: Exception, uri: str) -> ReadError:
    return ReadError(f"{uri} cannot be read from S3: {error}")


def _size(s3: Any, bucket: str, key: str) -> int | None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return int(s3.head_object(Bucket=bucket, Key=key)["ContentLength"])
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise _read_error(error, f"s3://{bucket}/{key}") from None
    except (BotoCoreError, ValueError) as error:
        raise _read_error(error, f"s3://{bucket}/{key}") from None


def _listed(s3: Any, bucket: str, prefix: str) -> list[tuple[str, int]]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [(item["Key"], item["Size"]) for page in pages for item in page.get("Contents", [])]
    except (BotoCoreError, ClientError, ValueError) as error:
        raise _read_error(error, f"s3://{bucket}/{prefix}") from None


def _s3_file(s3: Any, bucket: str, key: str, size: int, relative_path: str) -> InputFile:
    name = f"s3://{bucket}/{key}"

    def opener() -> io.BufferedReader:
        return io.BufferedReader(S3Object(s3, bucket, key, size), READ_BYTES)

    return InputFile(name, key.rsplit("/", 1)[-1], opener, None, size, relative_path)


class S3Object(io.RawIOBase):
    """An object as a seekable file, read by ranges, all of the same version: an object that changes is an error."""

    def __init__(self, s3: Any, bucket: str, key: str, size: int) -> None:
        self._s3, self._bucket, self._key, self._size = s3, bucket, key, size
        self._position = 0
        self._tag: str | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        from botocore.exceptions import BotoCoreError, ClientError

        view = memoryview(buffer)
        end = min(self._position + len(view), self._size)
        if end <= self._position:
            return 0
        condition = {"IfMatch": self._tag} if self._tag else {}
        try:
            response = self._s3.get_object(
                Bucket=self._bucket, Key=self._key, Range=f"bytes={self._position}-{end - 1}", **condition
            )
            data = response["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise _read_error(error, f"s3://{self._bucket}/{self._key}") from None
        self._tag = response["ETag"]
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
