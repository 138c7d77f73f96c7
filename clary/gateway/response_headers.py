"""Which headers of a container's response reach the client. Pure.

Reference: InvokeEndpoint, "Response Elements" (SageMaker Runtime API Reference).
"""

from __future__ import annotations

from collections.abc import Sequence

from clary.gateway import eventstream
from clary.gateway.exchange import Headers

_PREFIX = b"x-amzn-sagemaker-"
_PLAIN_HEADERS = {
    b"content-type": b"Content-Type",
    _PREFIX + b"custom-attributes": b"X-Amzn-SageMaker-Custom-Attributes",
    _PREFIX + b"new-session-id": b"X-Amzn-SageMaker-New-Session-Id",
    _PREFIX + b"closed-session-id": b"X-Amzn-SageMaker-Closed-Session-Id",
}
_STREAM_HEADERS = {
    b"content-type": b"X-Amzn-SageMaker-Content-Type",
    _PREFIX + b"custom-attributes": b"X-Amzn-SageMaker-Custom-Attributes",
}
_STREAM_TYPE = (b"Content-Type", eventstream.CONTENT_TYPE.encode())


def plain_headers(container: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Of InvokeEndpoint. Names come in lower case; everything not known to the API is left out."""
    return [(_PLAIN_HEADERS[name], value) for name, value in container if name in _PLAIN_HEADERS]


def stream_headers(container: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Of InvokeEndpointWithResponseStream, which has a type of its own and names the container's beside it."""
    headers = [(_STREAM_HEADERS[name], value) for name, value in container if name in _STREAM_HEADERS]
    return [_STREAM_TYPE, *headers]
