"""Fetch a user's source directory to /opt/ml/code."""

from __future__ import annotations

import os
from pathlib import Path

from clary.tasks import paths
from clary.tasks.failure import ClientError


def fetch(location: str, target: Path) -> None:
    """Unpack or copy what `sagemaker_submit_directory` names: s3://….tar.gz, a local archive, a local folder.

    Nothing is done where the platform has fetched it already: CLARY_STAGED_CODE holds the same URI.
    Raises ClientError.
    """
    if location.startswith("s3://"):
        if os.environ.get("CLARY_STAGED_CODE") != location:
            _from_s3(location, target)
        return
    source = paths.local_path(location)
    if source.is_dir():
        if source.resolve() != target.resolve():
            import shutil

            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    elif source.is_file():
        unpack(source, target, location)
    elif source != target:
        raise ClientError(f'sagemaker_submit_directory is "{location}": there is no such folder or archive.')


def unpack(archive: Path, target: Path, location: str) -> None:
    """Unpack a .tar.gz; members outside the folder, or that are no regular files, are refused."""
    import tarfile
    import zlib

    target.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            if not hasattr(tarfile, "data_filter"):  # Python 3.11.0 to 3.11.3
                raise ClientError("this Python cannot unpack an archive safely; update it to 3.11.4 or newer.")
            tar.extractall(target, filter="data")
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ClientError(f'the source archive "{location}" cannot be unpacked: {error}') from error


def _from_s3(uri: str, target: Path) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise ClientError(f'sagemaker_submit_directory is "{uri}"; give s3://bucket/key of a .tar.gz.')
    target.mkdir(parents=True, exist_ok=True)
    archive = target / f".{os.getpid()}.sourcedir"
    try:
        _download(bucket, key, archive, uri)
        unpack(archive, target, uri)
    finally:
        archive.unlink(missing_ok=True)


def _download(bucket: str, key: str, archive: Path, uri: str) -> None:
    # Imported here: it takes longer than everything else before the script's first line.
    import shutil

    import boto3
    from botocore.exceptions import BotoCoreError
    from botocore.exceptions import ClientError as S3Error

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    try:
        response = boto3.client("s3", endpoint_url=endpoint, region_name=region).get_object(Bucket=bucket, Key=key)
        with archive.open("wb") as file:
            shutil.copyfileobj(response["Body"], file, 1 << 20)
    except (S3Error, BotoCoreError, OSError) as error:
        raise ClientError(f'sagemaker_submit_directory "{uri}" cannot be read: {error}') from error
