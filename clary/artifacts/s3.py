"""S3 over HTTP: AWS's own, or any server that speaks like it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from clary.artifacts import files
from clary.artifacts.base import S3Access, S3Uri, Stored, TransferCancelled, never
from clary.artifacts.uris import BUCKET
from clary.core.errors import ObjectStoreError

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 60
ATTEMPTS = 5
CONNECTIONS = 32
# Objects larger than this travel in parts, a few at a time; callers transfer several objects at once already.
_TRANSFER = TransferConfig(multipart_threshold=32 << 20, multipart_chunksize=16 << 20, max_concurrency=4)
_MISSING = {"404", "NoSuchKey", "NotFound"}
_ABSENT = {*_MISSING, "NoSuchBucket"}
_REFUSED = {"403", "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled"}


class S3Store:
    """Objects behind an endpoint. One store may be used from several threads."""

    def __init__(self, access: S3Access) -> None:
        self.endpoint_url = access.endpoint_url
        amazon = (urlsplit(access.endpoint_url).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))
        self._s3: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=access.endpoint_url,
            region_name=access.region,
            aws_access_key_id=access.access_key_id,
            aws_secret_access_key=access.secret_access_key,
            config=Config(
                signature_version="s3v4",
                # Most other servers know no bucket.host names.
                s3={"addressing_style": "auto" if amazon else "path"},
                # Their answers to AWS's newer checksums differ; TLS and MD5 guard the way there.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                max_pool_connections=CONNECTIONS,
            ),
        )

    def exists(self, uri: S3Uri) -> bool:
        return self.find(uri) is not None

    def find(self, uri: S3Uri) -> Stored | None:
        if not (_reachable(uri) and uri.key):
            return None
        try:
            head = self._s3.head_object(Bucket=uri.bucket, Key=uri.key)
        except (BotoCoreError, ClientError) as error:
            if _code(error) in _ABSENT:
                return None
            raise self._store_error(f"Could not find out whether {uri} exists", uri, error) from error
        return Stored(uri.key, head["ContentLength"])

    def list(self, prefix: S3Uri) -> Iterator[Stored]:
        if not _reachable(prefix):
            return
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key)
        try:
            for page in pages:
                for item in page.get("Contents", ()):
                    yield Stored(item["Key"], item["Size"])
        except (BotoCoreError, ClientError) as error:
            if _code(error) != "NoSuchBucket":
                raise self._store_error(f"Could not list {prefix}", prefix, error) from error

    def read(self, uri: S3Uri) -> bytes:
        with self._as_store_error(f"Could not read {uri}", uri):
            body: bytes = self._s3.get_object(Bucket=uri.bucket, Key=uri.key)["Body"].read()
            return body

    def download(self, uri: S3Uri, to: Path, cancelled: Callable[[], bool] = never) -> None:
        with (
            self._as_store_error(f"Could not copy {uri} to {to}", uri, cancelled),
            files.new_file(to) as handle,
            os.fdopen(os.dup(handle), "wb") as target,
        ):
            self._s3.download_fileobj(uri.bucket, uri.key, target, Config=_TRANSFER, Callback=_Interruption(cancelled))

    def upload(self, file: Path, uri: S3Uri, cancelled: Callable[[], bool] = never) -> None:
        if not uri.key:
            raise ObjectStoreError(f"Could not write {uri}: its key is empty; choose another key")
        if cancelled():  # a small object would be there before anybody asks again
            raise TransferCancelled(f"Could not write {uri}: the transfer was cancelled")
        with self._as_store_error(f"Could not write {uri}", uri, cancelled), file.open("rb") as source:
            # A multipart upload becomes an object only when it is complete.
            self._s3.upload_fileobj(source, uri.bucket, uri.key, Config=_TRANSFER, Callback=_Interruption(cancelled))

    def make_bucket(self, bucket: str) -> None:
        uri = S3Uri(bucket, "")
        region = self._s3.meta.region_name
        configuration = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with self._as_store_error(f'Could not make the bucket "{bucket}"', uri):
            try:
                self._s3.head_bucket(Bucket=bucket)
            except ClientError as error:
                if _code(error) not in _ABSENT:
                    raise
                with contextlib.suppress(self._s3.exceptions.BucketAlreadyOwnedByYou):
                    self._s3.create_bucket(Bucket=bucket, **configuration)

    def close(self) -> None:
        """Close its connections; where the process ends anyway there is no need to."""
        self._s3.close()

    @contextlib.contextmanager
    def _as_store_error(self, doing: str, uri: S3Uri, cancelled: Callable[[], bool] = never) -> Iterator[None]:
        if not _reachable(uri):
            raise ObjectStoreError(f'{doing}: "{uri.bucket}" cannot be the name of a bucket')
        try:
            yield
        except ObjectStoreError:
            raise
        except (BotoCoreError, ClientError, Boto3Error) as error:
            if cancelled():  # an interruption comes back wrapped by whatever it interrupted
                raise TransferCancelled(f"{doing}: the transfer was cancelled") from error
            raise self._store_error(doing, uri, error) from error
        except OSError as error:
            raise ObjectStoreError(f"{doing}: {files.reason(error)}") from error

    def _store_error(self, doing: str, uri: S3Uri, error: Exception) -> ObjectStoreError:
        """The failure, and what to do about it."""
        if isinstance(error, Boto3Error) and isinstance(error.__context__, ClientError):
            error = error.__context__  # S3UploadFailedError wraps it
        return ObjectStoreError(f"{doing}: {self._remedy(uri, error)}")

    def _remedy(self, uri: S3Uri, error: Exception) -> str:
        if isinstance(error, ClientError):
            code = _code(error)
            if code == "NoSuchBucket":
                return f'the bucket "{uri.bucket}" does not exist at {self.endpoint_url}; make it, or name another'
            if code in _MISSING:
                return f"there is no such object at {self.endpoint_url}"
            if code in _REFUSED:
                return (
                    f"access denied by {self.endpoint_url} ({code}); check s3_access_key_id, s3_secret_access_key "
                    f'and what they may do in bucket "{uri.bucket}"'
                )
            return f"{self.endpoint_url} answered {code}: {error.response.get('Error', {}).get('Message', '')}"
        if isinstance(
            error, (HTTPClientError, NoConnectionError)
        ):  # refused, timed out, TLS, a name that does not resolve
            return f"S3 at {self.endpoint_url} cannot be reached; check s3_endpoint_url, and that it runs ({error})"
        return str(error)


class _Interruption:
    """Called by the transfer with every chunk: ends it once the caller cancels."""

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self.cancelled = cancelled

    def __call__(self, _bytes: int) -> None:
        if self.cancelled():
            raise TransferCancelled("The transfer was cancelled")


def _reachable(uri: S3Uri) -> bool:
    return BUCKET.fullmatch(uri.bucket) is not None


def _code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""
