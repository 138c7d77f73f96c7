"""What a request asks for: operation, endpoint, and the headers of the data plane with their limits. Pure.

Reference: InvokeEndpoint, InvokeEndpointWithResponseStream (SageMaker Runtime API Reference).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from clary.core.errors import ValidationError
from clary.gateway.errors import UnknownOperationException

_PATH = re.compile(r"/endpoints/([^/]+)/(invocations|invocations-response-stream|async-invocations)")
_NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9])*"
_ASCII = r"[\x00-\x7f]*"
_PRINTABLE = r"[\x21-\x7e][\x20-\x7e]*"
_PREFIX = "x-amzn-sagemaker-"


@dataclass(frozen=True, slots=True)
class Member:
    """One member of the request that travels in a header.

    header      on its way in, lower case
    to          on its way to the container; "" for one that is for the platform alone
    sensitive   its value is not repeated in an error
    """

    name: str
    header: str
    to: str
    longest: int
    pattern: re.Pattern[str]
    shortest: int = 0
    sensitive: bool = False


def _member(name: str, header: str, longest: int, pattern: str, shortest: int = 0, to: str = "same") -> Member:
    goes_to = header if to == "same" else to
    return Member(name, header, goes_to, longest, re.compile(pattern), shortest, sensitive=name == "customAttributes")


_CONTENT_TYPE = _member("contentType", "content-type", 1024, _ASCII)
_PLAIN_ACCEPT = _member("accept", "accept", 1024, _ASCII)
_STREAM_ACCEPT = _member("accept", _PREFIX + "accept", 1024, _ASCII, to="accept")
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

Operation = Literal["InvokeEndpoint", "InvokeEndpointWithResponseStream"]


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
        """The lines of the request to the container; what the caller did not send is not made up.

        first, last   of a pipeline: the caller's Content-Type is for its first container, its Accept for the last
        """
        lines = [
            f"{m.to}: {self.given[m.name]}\r\n"
            for m in MEMBERS[self.operation]
            if m.to and m.name in self.given and (first or m is not _CONTENT_TYPE) and (last or m.to != "accept")
        ]
        return "".join(lines).encode("latin-1")


def operation_of(path: str) -> tuple[str, str]:
    """Endpoint name, and the last part of the path. Raises UnknownOperationException."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise UnknownOperationException(
            f"Nothing is served under {path[:200]}: the inference gateway knows /endpoints/<name>/invocations and "
            "/endpoints/<name>/invocations-response-stream; other operations go to the control API's port."
        )
    return unquote(found[1]), found[2]


def read_call(endpoint: str, verb: str, headers: Mapping[str, str]) -> Call:
    """The call a request makes. Raises ValidationError, all violations in one."""
    if verb == "async-invocations":
        raise ValidationError(
            "InvokeEndpointAsync is not built into this version of Clary; call InvokeEndpoint, "
            "or run a batch of InvokeEndpoint calls."
        )
    operation: Operation = "InvokeEndpoint" if verb == "invocations" else "InvokeEndpointWithResponseStream"
    given = {m.name: headers[m.header] for m in MEMBERS[operation] if m.header in headers}
    wrong = _violations(_ENDPOINT_NAME, endpoint)
    for member in MEMBERS[operation]:
        if member.name in given:
            wrong += _violations(member, given[member.name])
    if wrong:
        plural = "s" if len(wrong) > 1 else ""
        raise ValidationError(f"{len(wrong)} validation error{plural} detected: {'; '.join(wrong)}")
    return Call(operation, endpoint, given)


def _violations(member: Member, value: str) -> list[str]:
    shown = "" if member.sensitive else f" '{value[:256]}'"
    told = f"Value{shown} at '{member.name}' failed to satisfy constraint: Member must "
    wrong = []
    if len(value) > member.longest:
        wrong.append(f"{told}have length less than or equal to {member.longest}")
    if len(value) < member.shortest:
        wrong.append(f"{told}have length greater than or equal to {member.shortest}")
    elif not member.pattern.fullmatch(value):
        wrong.append(f"{told}satisfy regular expression pattern: {member.pattern.pattern}")
    return wrong


def refuse_what_the_endpoint_lacks(call: Call) -> None:
    """Raise ValidationError for a member that only another kind of endpoint understands.

    Every endpoint there is today sends a request through all containers of one model, without components, sessions
    or explainer.
    """
    for name, text in _LACKING.items():
        if name in call.given:
            raise ValidationError(text.format(endpoint=call.endpoint))


_LACKING = {
    "targetModel": "Endpoint {endpoint} is not a multi-model endpoint and does not support target model header.",
    "targetContainerHostname": "Endpoint {endpoint} is not a multi-container endpoint with direct invocation and does "
    "not support target container hostname header.",
    "inferenceComponentName": "Inference Component Name header is not allowed for endpoints to which you dont plan to "
    "deploy inference components. Please remove the Inference Component Name header and try again.",
    "sessionId": "Endpoint {endpoint} does not support stateful sessions and does not support session id header.",
    "enableExplanations": "Endpoint {endpoint} has no explainer configured and does not support enable explanations "
    "header.",
}
