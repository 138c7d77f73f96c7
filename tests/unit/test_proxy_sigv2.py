"""Presigned URLs of Signature Version 2, made by boto3."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.config import Config

from clary.core.credentials import Credentials
from clary.core.sigv4 import SignedRequest
from clary.proxy import sigv2
from clary.proxy.errors import AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch

SESSION = botocore.session.get_session()  # shared: it keeps the models it has read
KEYS = Credentials("AKIATESTTESTTESTTEST", "a-secret/with+signs=")


@pytest.fixture(params=["virtual", "path"], scope="module")
def presign(request):
    client = SESSION.create_client(
        "s3",
        "us-east-1",
        aws_access_key_id=KEYS.access_key_id,
        aws_secret_access_key=KEYS.secret_access_key,
        config=Config(s3={"addressing_style": request.param}),
    )

    def make(operation="get_object", **params):
        url = urlsplit(client.generate_presigned_url(operation, Params={"Bucket": "buck", "Key": "a b/ü+c", **params}))
        method = {"get": "GET", "put": "PUT", "del": "DELETE"}[operation[:3]]
        bucket = "buck" if url.netloc.startswith("buck.") else ""
        return SignedRequest(method, url.path.encode(), url.query.encode(), [(b"host", url.netloc.encode())]), bucket

    yield make
    client.close()


def check(request, bucket, keys=KEYS, **later):
    sigv2.verify(request, bucket, keys, datetime.now(UTC) + timedelta(**later))


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("get_object", {}),
        ("get_object", {"VersionId": "3/L4k+=", "ResponseContentType": "text/csv; charset=utf-8"}),
        ("put_object", {}),
        ("put_object", {"ServerSideEncryption": "AES256", "Metadata": {"a": "b  c"}}),
        ("delete_object", {}),
    ],
)
def test_what_boto3_signs_is_accepted(presign, operation, params):
    request, bucket = presign(operation, **params)
    assert sigv2.presigned(request)
    check(request, bucket)


def test_content_type_is_signed_where_it_is_sent(presign):
    request, bucket = presign("put_object", ContentType="text/csv")
    check(SignedRequest(request.method, request.path, request.query, [(b"content-type", b"text/csv")]), bucket)
    with pytest.raises(SignatureDoesNotMatch):
        check(SignedRequest(request.method, request.path, request.query, [(b"content-type", b"text/html")]), bucket)


def test_any_change_of_a_signed_request_is_refused(presign):
    request, bucket = presign()
    for other in (
        SignedRequest("DELETE", request.path, request.query, request.headers),
        SignedRequest("GET", request.path + b"x", request.query, request.headers),
        SignedRequest("GET", request.path, request.query + b"&versionId=1", request.headers),
        SignedRequest("GET", request.path, request.query.replace(b"Expires=1", b"Expires=2"), request.headers),
        SignedRequest("GET", request.path, request.query, [*request.headers, (b"x-amz-copy-source", b"/other/key")]),
    ):
        with pytest.raises(SignatureDoesNotMatch):
            check(other, bucket)


def test_another_bucket_is_refused(presign):
    with pytest.raises(SignatureDoesNotMatch):
        check(presign()[0], "other")


def test_it_expires(presign):
    request, bucket = presign()
    check(request, bucket, minutes=59)
    with pytest.raises(AccessDenied, match="expired"):
        check(request, bucket, minutes=61)


def test_another_key_is_unknown(presign):
    with pytest.raises(InvalidAccessKeyId):
        check(*presign(), keys=Credentials("AKIAOTHER", KEYS.secret_access_key))


@pytest.mark.parametrize("query", [b"", b"Expires=1&Signature=x", b"X-Amz-Signature=x"])
def test_other_requests_are_not_taken_for_one(query):
    assert not sigv2.presigned(SignedRequest("GET", b"/", query, []))
