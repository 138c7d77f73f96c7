"""A request parsed: operation, endpoint, and the headers of the data plane with their limits. Pure.

Reference: InvokeEndpoint, InvokeEndpointWithResponseStream, InvokeEndpointAsync (SageMaker Runtime API Reference).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from clary.core.errors import ValidationError
from clary.core.routes import Mode
from clary.gateway.errors import UnknownOperationException

_PATH = re.compile(r"/endpoints/([^/]+)/(invocations|invocations-response-stream|async-invocations)")
_NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9])*"
_ASCII = r"[\x00-\x7f]*"
_PRINTABLE = r"[\x21-\x7e][\x20-\x7e]*"
_PREFIX = "x-amzn-sagemaker-"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the request that travels in a header.

    header              of the caller's request, lower case
    container_header    of the request to the container
    sensitive           its value is not repeated in an error
    """

    name: str
    header: str
    container_header: str
    max_length: int
    pattern: re.Pattern[str]
    min_length: int = 0
    sensitive: bool = False


def _member(
    name: str, header: str, max_length: int, pattern: str, min_length: int = 0, container_header: str = ""
) -> Member:
    return Member(
        name,
        header,
        container_header or header,
        max_length,
        re.compile(pattern),
        min_length,
        sensitive=name == "customAttributes",
    )


_CONTENT_TYPE = _member("contentType", "content-type", 1024, _ASCII)
_PLAIN_ACCEPT = _member("accept", "accept", 1024, _ASCII)
_STREAM_ACCEPT = _member("accept", _PREFIX + "accept", 1024, _ASCII, container_header="accept")
_SHARED = (
    _member("customAttributes", _PREFIX + "custom-attributes", 1024, _ASCII),
    _member("targetVariant", _PREFIX + "target-variant", 63, _NAME),
    _member("targetContainerHostname", _PREFIX + "target-container-hostname", 63, _NAME),
    _member("inferenceId", _PREFIX + "inference-id", 64, _PRINTABLE, 1),
    _member("inferenceComponentName", _PREFIX + "inference-component", 63, r"[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?"),
    _member("sessionId", _PREFIX + "session-id", 256, rf"(NEW_SESSION)|{_NAME}"),
    _member("prefixAwareId", _PREFIX + "prefix-aware-id", 64, _PRINTABLE, 1),
)
_PLAIN_ONLY = (
    _member("targetModel", _PREFIX + "target-model", 1024, _PRINTABLE, 1),
    _member("enableExplanations", _PREFIX + "enable-explanations", 64, r".*", 1),
)
MEMBERS = {
    "InvokeEndpoint": (_CONTENT_TYPE, _PLAIN_ACCEPT, *_SHARED, *_PLAIN_ONLY),
    "InvokeEndpointWithResponseStream": (_CONTENT_TYPE, _STREAM_ACCEPT, *_SHARED),
}
_ENDPOINT_NAME = _member("endpointName", "", 63, _NAME)

Operation = Literal["InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync"]
_OPERATIONS: Mapping[str, Operation] = {
    "invocations": "InvokeEndpoint",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
    "async-invocations": "InvokeEndpointAsync",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A checked request. `given` maps member names to values; only members that were sent are in it."""

    operation: Operation
    endpoint: str
    given: Mapping[str, str]

    @property
    def target_variant(self) -> str:
        return self.given.get("targetVariant", "")

    def container_headers(self, *, first: bool = True, last: bool = True) -> bytes:
        """The header lines of the request to the container: those the caller sent, no defaults.

        first, last   of a pipeline: the caller's Content-Type is for its first container, its Accept for the last
        """
        lines = [
            f"{member.container_header}: {self.given[member.name]}\r\n"
            for member in MEMBERS[self.operation]
            if member.name in self.given
            and (first or member is not _CONTENT_TYPE)
            and (last or member.container_header != "accept")
        ]
        return "".join(lines).encode("latin-1")


def parse_path(path: str) -> tuple[str, str]:
    """Endpoint name, and the last part of the path. Raises UnknownOperationException."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise UnknownOperationException(
            f"There is no operation at {path[:200]}: the inference gateway serves /endpoints/<name>/invocations and "
            "/endpoints/<name>/invocations-response-stream; other operations go to the control API's port."
        )
    return unquote(match[1]), match[2]


def read_call(endpoint: str, suffix: str, headers: Mapping[str, str]) -> Call:
    """The call of a request, `suffix` being the last part of its path. Raises ValidationError, all violations in it."""
    operation = _OPERATIONS[suffix]
    members = MEMBERS.get(operation, ())
    given = {m.name: headers[m.header] for m in members if m.header in headers}
    violations = _violations(_ENDPOINT_NAME, endpoint)
    for member in members:
        if member.name in given:
            violations += _violations(member, given[member.name])
    if violations:
        plural = "s" if len(violations) > 1 else ""
        raise ValidationError(f"{len(violations)} validation error{plural} detected: {'; '.join(violations)}")
    return Call(operation, endpoint, given)


def _violations(member: Member, value: str) -> list[str]:
    shown = "" if member.sensitive else f" '{value[:256]}'"
    constraint = f"Value{shown} at '{member.name}' failed to satisfy constraint: Member must "
    violations = []
    if len(value) > member.max_length:
        violations.append(f"{constraint}have length less than or equal to {member.max_length}")
    if len(value) < member.min_length:
        violations.append(f"{constraint}have length greater than or equal to {member.min_length}")
    elif not member.pattern.fullmatch(value):
        violations.append(f"{constraint}satisfy regular expression pattern: {member.pattern.pattern}")
    return violations


def check_mode(call: Call, mode: Mode) -> None:
    """Raise ValidationError for an operation, or a member, that an endpoint of this mode does not take.

    Every endpoint there is today sends a request through all containers of one model, without components, sessions
    or explainer.
    """
    if mode is _ASYNC or call.operation == "InvokeEndpointAsync":
        raise ValidationError(_refusal(call, mode))
    if not _UNSUPPORTED_NAMES.isdisjoint(call.given):
        name = next(name for name in UNSUPPORTED_MEMBERS if name in call.given)
        raise ValidationError(UNSUPPORTED_MEMBERS[name].format(endpoint=call.endpoint))


_ASYNC = Mode.ASYNC  # an enum's member is not looked up for each request


def _refusal(call: Call, mode: Mode) -> str:
    endpoint = f"Endpoint {call.endpoint} is {mode}"
    if call.operation != "InvokeEndpointAsync":
        return f"{endpoint} and does not take {call.operation}; call InvokeEndpointAsync."
    if mode is Mode.ASYNC:
        return f"{endpoint}, and InvokeEndpointAsync is not built into this version of Clary."
    return (
        f"{endpoint}, and InvokeEndpointAsync is not built into this version of Clary; call InvokeEndpoint, "
        "or run a batch of InvokeEndpoint calls."
    )


UNSUPPORTED_MEMBERS = {
    "targetModel": "Endpoint {endpoint} is not a multi-model endpoint and does not support target model header.",
    "targetContainerHostname": "Endpoint {endpoint} is not a multi-container endpoint with direct invocation and does "
    "not support target container hostname header.",
    "inferenceComponentName": "Inference Component Name header is not allowed for endpoints to which you dont plan to "
    "deploy inference components. Please remove the Inference Component Name header and try again.",
    "sessionId": "Endpoint {endpoint} does not support stateful sessions and does not support session id header.",
    "enableExplanations": "Endpoint {endpoint} has no explainer configured and does not support enable explanations "
    "header.",
}
_UNSUPPORTED_NAMES = frozenset(UNSUPPORTED_MEMBERS)
