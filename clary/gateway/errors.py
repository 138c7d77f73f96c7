"""The errors of the data plane, and their texts.

ServiceError (core)
├── ValidationError (core)     400  unknown endpoint, not InService, bad header, too large
├── ModelError                 424  the container answered 4xx/5xx, timed out, dropped the connection
├── ServiceUnavailable (core)  503  no replica within the time a request waits
├── InternalFailure (core)     500  a bug of the gateway
├── UnknownOperationException 404, MethodNotAllowed 405, RequestTimeout 408, HeadersTooLarge 431
│                            of HTTP itself; AWS clients never meet them
└── AccessError (core)         signature trouble
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from clary.core import errors as core
from clary.core.arns import Account
from clary.core.errors import ServiceError, ValidationError

# The longest Message and OriginalMessage of the service model; the whole text is in the endpoint's log.
MESSAGE_LIMIT = 2048

TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container {container}. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)


class UnknownOperationException(core.UnknownOperationException):
    """There is no operation at this path."""

    status = 404


class MethodNotAllowed(ServiceError):
    """The path exists, the method does not."""

    status = 405


class RequestTimeout(ServiceError):
    """The request did not arrive in time."""

    status = 408


class HeadersTooLarge(ServiceError):
    """More headers than the gateway reads."""

    status = 431


class ModelError(ServiceError):
    """The container did not answer 2xx. `original_status` is 0 where it gave no answer at all."""

    status = 424

    def __init__(self, message: str, original_status: int, original_message: str, log_stream_arn: str) -> None:
        super().__init__(message)
        self.original_status = original_status
        self.original_message = original_message
        self.log_stream_arn = log_stream_arn


@dataclass(frozen=True, slots=True)
class ErrorFactory:
    """Makes errors whose texts name the account, and link to the console of this server."""

    account: Account
    console: str

    def not_found(self, endpoint: str) -> ValidationError:
        return ValidationError(f"Endpoint {endpoint} of account {self.account.id} not found.")

    def not_in_service(self, endpoint: str, status: str) -> ValidationError:
        return ValidationError(
            f"Endpoint {endpoint} of account {self.account.id} is not in service (its status is {status}); "
            "invoke it when DescribeEndpoint shows InService."
        )

    def model_error(self, endpoint: str, status: int, text: str, container: str = "primary") -> ModelError:
        """The container's own text, quoted in AWS's."""
        original = text[:MESSAGE_LIMIT]
        before = f'Received {_origin(status)} error ({status}) from {container} with message "'
        after = f'". {self._see_log(endpoint)}'
        quoted = original[: MESSAGE_LIMIT - len(before) - len(after)]
        return ModelError(before + quoted + after, status, original, self._log_arn(endpoint))

    def incomplete_response(self, endpoint: str, status: int, container: str = "primary") -> ModelError:
        """The container began to answer and did not finish."""
        text = (
            f"Received {_origin(status)} error ({status}) from {container} and could not load the entire response body."
        )
        return ModelError(f"{text} {self._see_log(endpoint)}", status, "", self._log_arn(endpoint))

    def _see_log(self, endpoint: str) -> str:
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        link = f"{self.console}/cloudwatch/home?region={self.account.region}#logEventViewer:group={group}"
        return f"See {link} in account {self.account.id} for more information."

    def _log_arn(self, endpoint: str) -> str:
        return f"arn:aws:logs:{self.account.region}:{self.account.id}:log-group:/aws/sagemaker/Endpoints/{endpoint}"


def _origin(status: int) -> str:
    return "client" if 400 <= status < 500 else "server"


def error_body(error: ServiceError) -> bytes:
    """The JSON body of an error response."""
    members: dict[str, Any] = {"Message": error.message}
    if isinstance(error, ModelError):
        members |= {
            "OriginalMessage": error.original_message,
            "OriginalStatusCode": error.original_status,
            "LogStreamArn": error.log_stream_arn,
        }
        if error.original_status:
            client = _origin(error.original_status) == "client"
            members["ErrorCode"] = "CLIENT_ERROR_FROM_MODEL" if client else "INTERNAL_FAILURE_FROM_MODEL"
    return json.dumps(members).encode()
