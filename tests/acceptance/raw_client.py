"""Requests that are composed and signed here, so that they can be wrong in ways that botocore would not allow."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from clary.core.credentials import Credentials
from clary.core.sigv4 import sign

JSON11 = "application/x-amz-json-1.1"
FORM = "application/x-www-form-urlencoded; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What came back. `code` and `message` of an error, in whatever protocol."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.body)
        return answer

    @property
    def code(self) -> str:
        if self.text.startswith("<"):
            return self.text.partition("<Code>")[2].partition("</Code>")[0]
        return str(self.json.get("__type") or self.headers.get("x-amzn-errortype", ""))

    @property
    def message(self) -> str:
        if self.text.startswith("<"):
            return self.text.partition("<Message>")[2].partition("</Message>")[0]
        return str(self.json.get("message") or self.json.get("Message", ""))


class RawClient:
    """Signs with a server's keys, or with others."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.url = environment["AWS_ENDPOINT_URL"]
        self.runtime_url = environment["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"]
        self.region = environment["AWS_DEFAULT_REGION"]
        self.keys = Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])

    def call(self, operation: str, request: Any) -> Answer:
        """An operation of SageMaker with any JSON."""
        return self.post(f"SageMaker.{operation}", json.dumps(request).encode())

    def post(self, target: str, body: bytes, **headers: str) -> Answer:
        """Any body to an operation of AWS JSON."""
        service = "logs" if target.startswith("Logs") else "sagemaker"
        return self.send({"X-Amz-Target": target, "Content-Type": JSON11, **headers}, body, service=service)

    def form(self, service: str, body: str) -> Answer:
        """AWS query, which STS and IAM speak."""
        return self.send({"Content-Type": FORM}, body.encode(), service=service)

    def send(
        self, headers: Mapping[str, str], body: bytes, method: str = "POST", path: str = "/", **signed: Any
    ) -> Answer:
        """Signed correctly but for the values in `signed`."""
        return self.raw(method, path, self.signed(headers, body, method, path, **signed), body)

    def signed(
        self, headers: Mapping[str, str], body: bytes, method: str = "POST", path: str = "/", **signed: Any
    ) -> dict[str, str]:
        signing = {"credentials": self.keys, "region": self.region, "service": "sagemaker", "now": datetime.now(UTC)}
        return sign(method, f"{self.url}{path}", headers, body, **{**signing, **signed})

    def raw(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, url: str = "") -> Answer:
        """Exactly this."""
        connection = http.client.HTTPConnection(urlsplit(url or self.url).netloc, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in {"content-length": str(len(body or b"")), **headers}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def invoke(self, endpoint: str, body: bytes = b"1", verb: str = "invocations", **headers: str) -> Answer:
        """A request to the gateway."""
        path = f"/endpoints/{endpoint}/{verb}"
        all_headers = {"Content-Type": "text/csv", **{name.replace("_", "-"): value for name, value in headers.items()}}
        signing = {"credentials": self.keys, "region": self.region, "service": "sagemaker", "now": datetime.now(UTC)}
        signed = sign("POST", f"{self.runtime_url}{path}", all_headers, body, **signing)
        return self.raw("POST", path, signed, body, self.runtime_url)
