"""Amazon Resource Names.

Reference: AWS General Reference, "Amazon Resource Names (ARNs)"; SageMaker lower-cases the name part of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SAGEMAKER_ARN = re.compile(r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:(?P<kind>[a-z\-]+)/(?P<name>[^/]+)")


@dataclass(frozen=True, slots=True)
class Account:
    """The account and region this server answers for."""

    id: str
    region: str

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a SageMaker resource."""
        return f"arn:aws:sagemaker:{self.region}:{self.id}:{kind}/{name.lower()}"

    def log_stream_arn(self, group: str, stream: str = "*") -> str:
        """The ARN of a CloudWatch log stream, or of all of a group's."""
        return f"arn:aws:logs:{self.region}:{self.id}:log-group:{group}:log-stream:{stream}"

    @property
    def default_bucket(self) -> str:
        """The default bucket of the SageMaker SDKs."""
        return f"sagemaker-{self.region}-{self.id}"

    @property
    def role_arn(self) -> str:
        """An execution role; every role exists and all may do the same."""
        return f"arn:aws:iam::{self.id}:role/ClaryExecutionRole"


def parse(arn: str) -> tuple[str, str] | None:
    """Kind and lower-cased name of a SageMaker ARN, or None where it is none."""
    found = _SAGEMAKER_ARN.fullmatch(arn)
    return (found["kind"], found["name"].lower()) if found else None
