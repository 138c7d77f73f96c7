"""What of a container's answer reaches the caller. Pure.

Reference: InvokeEndpoint, "Response Elements" (SageMaker Runtime API Reference).
"""

from __future__ import annotations

from collections.abc import Sequence

from clary.gateway import eventstream
from clary.gateway.exchange import Headers

_PREFIX = b"x-amzn-sagemaker-"
_PASSED = {
    b"content-type": b"Content-Type",
    _PREFIX + b"custom-attributes": b"X-Amzn-SageMaker-Custom-Attributes",
    _PREFIX + b"new-session-id": b"X-Amzn-SageMaker-New-Session-Id",
    _PREFIX + b"closed-session-id": b"X-Amzn-SageMaker-Closed-Session-Id",
}
_PASSED_OF_STREAM = {
    b"content-type": b"X-Amzn-SageMaker-Content-Type",
    _PREFIX + b"custom-attributes": b"X-Amzn-SageMaker-Custom-Attributes",
}
_STREAM_TYPE = (b"Content-Type", eventstream.CONTENT_TYPE.encode())


def plain_headers(container: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Of InvokeEndpoint. Names come in lower case; everything not known to the API is left out."""
    return [(_PASSED[name], value) for name, value in container if name in _PASSED]


def stream_headers(container: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Of InvokeEndpointWithResponseStream, which has a type of its own and names the container's beside it."""
    passed = [(_PASSED_OF_STREAM[name], value) for name, value in container if name in _PASSED_OF_STREAM]
    return [_STREAM_TYPE, *passed]
