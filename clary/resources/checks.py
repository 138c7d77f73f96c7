"""What AWS checks before it accepts a request: data in S3, and images.

With validation = lenient the job finds out instead, and fails with the same text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from clary.artifacts.base import S3Uri
from clary.core.errors import ObjectStoreError, ValidationException
from clary.resources.context import Context


async def image(context: Context, uri: str, role_arn: str) -> None:
    """Raise ValidationException where an image cannot be run on this machine."""
    if reason := await asyncio.to_thread(context.image_problem, uri):
        raise ValidationException(f"The image {uri!r} cannot be used with the role {role_arn}: {reason}")


def s3_uri(field: str, uri: str) -> S3Uri:
    """The bucket and key of a URI. Raises ValidationException naming the field."""
    try:
        return S3Uri.parse(uri)
    except ValueError as error:
        raise ValidationException(f"{field} = {uri!r} is not an S3 URI: {error}") from None


def input_data(context: Context, field: str, uri: str, data_type: str, role_arn: str) -> None:
    """Raise ValidationException where an S3 input has no objects."""
    location = s3_uri(field, uri)
    try:
        exists = _exists(context, location, data_type == "S3Prefix")
    except ObjectStoreError as error:
        raise ValidationException(f"{field} = {uri!r} cannot be read: {error}") from None
    if not exists:
        raise ValidationException(
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            f"exists in the selected region ({context.account.region}), that objects exist under that S3 prefix, and "
            f'that the role "{role_arn}" has "s3:ListBucket" permissions on bucket "{location.bucket}".'
        )


def model_data(context: Context, container: Mapping[str, Any], role_arn: str) -> None:
    """Raise ValidationException where a container's model data does not exist."""
    uri, is_prefix = model_location(container)
    if not uri:
        return
    location = s3_uri("ModelDataUrl", uri)
    try:
        exists = _exists(context, location, is_prefix)
    except ObjectStoreError as error:
        raise ValidationException(
            f"Could not access model data at {uri}. Please ensure that the role {role_arn} exists and that the object "
            f"can be read: {error}"
        ) from None
    if not exists:
        raise ValidationException(f"Could not find model data at {uri}.")


def _exists(context: Context, location: S3Uri, is_prefix: bool) -> bool:
    """Whether there is such an object, or any below such a prefix."""
    if is_prefix:
        return next(iter(context.object_store.list(location)), None) is not None
    return context.object_store.exists(location)


def model_location(container: Mapping[str, Any]) -> tuple[str, bool]:
    """The URI of a container's model ("" for none), and whether that is a prefix."""
    if "ModelDataSource" in container and "S3DataSource" in container["ModelDataSource"]:
        source = container["ModelDataSource"]["S3DataSource"]
        return source["S3Uri"], source["S3DataType"] == "S3Prefix"
    return container.get("ModelDataUrl", ""), False
