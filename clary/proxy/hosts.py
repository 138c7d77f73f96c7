"""Which of Clary's services stands for which host name of AWS.

Names are those of botocore's endpoint rules, in every partition: regional, global, FIPS and dual-stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

# The domains of AWS's services, partition by partition. The proxy's certificates are valid for no others.
DOMAINS = (
    "amazonaws.com",
    "api.aws",
    "amazonaws.com.cn",
    "api.amazonwebservices.com.cn",
    "amazonaws.eu",
    "api.amazonwebservices.eu",
)


class Service(StrEnum):
    """A service that answers for hosts of AWS."""

    CONTROL = "control API"
    GATEWAY = "inference gateway"
    S3 = "S3"
    TELEMETRY = "telemetry"  # of the SDKs: answered by the proxy, and dropped
    NONE = "none"  # of AWS's, and not built


@dataclass(frozen=True, slots=True)
class Destination:
    """Where requests for a host of AWS go. `bucket` is the one that the host name begins with, "" where none does."""

    service: Service
    bucket: str = ""


# us-east-1, us-gov-west-1, eusc-de-east-1; aws-global, us-gov.
_REGION = r"[a-z]{2,4}(?:-[a-z]+)+(?:-[0-9]+)?"
_S3 = re.compile(
    r"(?:(?P<bucket>.+)\.)?"
    rf"s3(?:-fips|-accelerate|-external-1|-{_REGION})?(?:\.dualstack)?(?:\.{_REGION})?"
)
_CONTROL = re.compile(
    rf"api(?:-fips)?\.sagemaker(?:-fips)?\.{_REGION}"
    rf"|(?:sts|iam)(?:-fips)?(?:\.(?:global|{_REGION}))?"
    rf"|logs(?:-fips)?\.{_REGION}"
)
_GATEWAY = re.compile(rf"runtime(?:-fips)?\.sagemaker(?:-fips)?\.{_REGION}")
_TELEMETRY = "sm-pysdk-t-"
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9])?")


def is_name(host: str) -> bool:
    """Whether it could be a host's name, in lower case."""
    return _NAME.fullmatch(host) is not None and ".." not in host


def is_aws(host: str) -> bool:
    return is_name(host) and host.endswith(tuple(f".{domain}" for domain in DOMAINS))


def destination(host: str) -> Destination:
    """Where requests for a host of AWS, given in lower case, go."""
    name = _without_domain(host)
    if _CONTROL.fullmatch(name):
        return Destination(Service.CONTROL)
    if _GATEWAY.fullmatch(name):
        return Destination(Service.GATEWAY)
    if match := _S3.fullmatch(name):
        bucket = match["bucket"] or ""
        return Destination(Service.TELEMETRY) if bucket.startswith(_TELEMETRY) else Destination(Service.S3, bucket)
    return Destination(Service.NONE)


def _without_domain(host: str) -> str:
    domain = next(domain for domain in DOMAINS if host.endswith(f".{domain}"))
    return host.removesuffix(f".{domain}")
