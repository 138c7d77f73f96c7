"""Which store the settings lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.artifacts.base import ObjectStore, S3Access

if TYPE_CHECKING:  # supervisors need neither, and every job waits for what they import
    from clary.core.credentials import Credentials
    from clary.core.settings import Settings


def s3_access(settings: Settings, credentials: Credentials) -> S3Access:
    """The embedded S3, by its folder, or the S3 that the settings name."""
    if settings.embedded_s3:
        keys = credentials.access_key_id, credentials.secret_access_key
        return S3Access(settings.s3_url, settings.region, *keys, folder=settings.paths.buckets)
    return S3Access(settings.s3_url, settings.region, settings.s3_access_key_id, settings.s3_secret_access_key)


def open_store(access: S3Access) -> ObjectStore:
    """The embedded S3's folder where it lies on this machine, else S3 over HTTP."""
    if access.folder is not None:
        from clary.artifacts.folder import FolderStore

        return FolderStore(access.folder)
    from clary.artifacts.s3 import S3Store  # boto3 takes a third of a second to import

    return S3Store(access)
