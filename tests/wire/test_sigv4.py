import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials as BotocoreCredentials

from clary.core.credentials import Credentials
from clary.core.errors import (
    IncompleteSignature,
    InvalidSignatureException,
    MissingAuthenticationToken,
    UnrecognizedClientException,
)
from clary.core.sigv4 import EMPTY_SHA256, SignedRequest, sign, signing_key, verify

KEYS = Credentials("AKIATESTTESTTESTTEST", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)

PATHS = [
    "/",
    "",
    "/endpoints/my-endpoint/invocations",
    "/a//b/./c/../d/",
    "/with%20space/%C3%BCml%C3%A4ut",
    "/plain~tilde/star*/plus+/equal=/colon:",
    "/%2Fescaped%2Fslashes",
    "/trailing/",
    "/..",
]
QUERIES = [
    "",
    "a=1&b=2",
    "b=2&a=1&a=0",
    "empty=&bare",
    "space=a%20b&plus=a%2Bb",
    "uni=%C3%BC%E2%82%AC&%C3%BC=1",
    "A=upper&a=lower",
    "slash=a%2Fb",
]


@pytest.fixture(autouse=True)
def botocore_signs_now(monkeypatch):
    monkeypatch.setattr(auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))


def sha256(body):
    return hashlib.sha256(body).hexdigest()


def on_the_wire(prepared):
    """What an HTTP server would see of it."""
    parts = urlsplit(prepared.url)
    headers = [
        (name.lower().encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in prepared.headers.items()
    ]
    if not any(name == b"host" for name, _ in headers):
        headers.append((b"host", parts.netloc.encode()))
    return SignedRequest(prepared.method, (parts.path or "/").encode(), parts.query.encode(), headers)


def signed_by_botocore(signer, method="POST", path="/", query="", body=b"", headers=(), service="sagemaker"):
    many = HTTPHeaders()
    for name, value in headers:
        many[name] = value  # adds, as HTTP's headers do
    url = f"https://host.example:8721{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, data=body)
    request.headers = many
    signer(BotocoreCredentials(KEYS.access_key_id, KEYS.secret_access_key), service, "us-east-1").add_auth(request)
    return on_the_wire(request)


def check(request, body=b"", now=NOW, **options):
    return verify(request, sha256(body), KEYS, now, 900, **options)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("signer", [auth.SigV4Auth, auth.SigV4QueryAuth], ids=["headers", "presigned"])
def test_botocores_signatures_are_accepted(signer, path, query):
    body = b"" if signer is auth.SigV4QueryAuth else b"the body"
    query = query if signer is auth.SigV4Auth else "a=1&b=%C3%BC+x"  # it takes a query apart, and loses what is double
    claim = check(signed_by_botocore(signer, path=path, query=query, body=body), body)
    assert (claim.region, claim.service) == ("us-east-1", "sagemaker")


@pytest.mark.parametrize("path", ["/bucket/a b".replace(" ", "%20"), "/bucket/a//b/../c", "/bucket/%C3%BC%2B%3D~", "/"])
@pytest.mark.parametrize("signer", [auth.S3SigV4Auth, auth.S3SigV4QueryAuth], ids=["headers", "presigned"])
def test_s3_encodes_a_path_once(signer, path):
    body = b"data" if signer is auth.S3SigV4Auth else b""  # a presigned URL does not sign what is put there
    check(signed_by_botocore(signer, "PUT", path, "", body, service="s3"), b"data", s3=True, unsigned_payload=True)


def test_headers_may_repeat_and_have_blanks():
    headers = [("X-Amz-Meta", "  two   words "), ("X-Amz-Meta", "again"), ("Content-Type", "text/csv"), ("My", "é")]
    check(signed_by_botocore(auth.SigV4Auth, headers=headers, body=b"x"), b"x")


def test_a_session_token_is_accepted():
    request = AWSRequest(method="GET", url="https://host/", data=b"")
    keys = BotocoreCredentials(KEYS.access_key_id, KEYS.secret_access_key, "a-token")
    auth.SigV4Auth(keys, "sts", "us-east-1").add_auth(request)
    check(on_the_wire(request))


def test_a_query_escaped_otherwise_but_signed_as_aws_escapes_is_accepted():
    request = signed_by_botocore(auth.SigV4Auth, query="key=a%2Fb%3A")
    check(SignedRequest(request.method, request.path, b"key=a/b:", request.headers), b"")


@pytest.mark.parametrize("s3", [False, True])
@pytest.mark.parametrize("path", ["/", "/a%20b/c", "/a//b", "/%C3%BC"])
@pytest.mark.parametrize("query", ["", "b=1&a=%20"])
def test_own_signatures_are_accepted_and_are_botocores(s3, path, query):
    body, service = b"some body", "s3" if s3 else "sagemaker"
    url = f"http://127.0.0.1:8721{path}" + (f"?{query}" if query else "")
    given = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
    ours = sign("POST", url, given, body, KEYS, region="us-east-1", service=service, now=NOW, s3=s3)
    wire = [(name.encode(), value.encode()) for name, value in ours.items()]
    check(SignedRequest("POST", path.encode(), query.encode(), wire), body, s3=s3)

    theirs = AWSRequest(method="POST", url=url, data=body, headers=given)
    signer = auth.S3SigV4Auth if s3 else auth.SigV4Auth
    signer(BotocoreCredentials(KEYS.access_key_id, KEYS.secret_access_key), service, "us-east-1").add_auth(theirs)
    assert ours["authorization"] == theirs.headers["Authorization"]


# ---- what must not pass ----


def changed(request, **changes):
    fields = {name: getattr(request, name) for name in ("method", "path", "query", "headers")}
    return SignedRequest(**{**fields, **changes})


def replaced(request, name, value):
    return changed(request, headers=[(key, value if key == name else old) for key, old in request.headers])


def good():
    return signed_by_botocore(auth.SigV4Auth, headers=[("X-Amz-Target", "SageMaker.ListModels")], body=b"{}")


def presigned(expires_s=60):
    class Signer(auth.SigV4QueryAuth):
        def __init__(self, *args):
            super().__init__(*args, expires=expires_s)

    return signed_by_botocore(Signer, "GET", query="Action=GetCallerIdentity", service="sts")


@pytest.mark.parametrize(
    "tampered",
    [
        lambda request: changed(request, method="GET"),
        lambda request: changed(request, path=b"/other"),
        lambda request: changed(request, query=b"a=1"),
        lambda request: replaced(request, b"x-amz-target", b"SageMaker.DeleteModel"),
        lambda request: replaced(request, b"host", b"elsewhere"),
        lambda request: changed(request, headers=[*request.headers, (b"x-amz-target", b"SageMaker.DeleteModel")]),
    ],
)
def test_nothing_signed_can_be_changed(tampered):
    check(good(), b"{}")
    with pytest.raises(InvalidSignatureException, match="does not match the signature you provided"):
        check(tampered(good()), b"{}")


def test_the_body_is_signed():
    with pytest.raises(InvalidSignatureException, match="does not match the signature"):
        check(good(), b"{ }")
    s3 = signed_by_botocore(auth.S3SigV4Auth, "PUT", "/b/k", "", b"data", service="s3")
    with pytest.raises(InvalidSignatureException, match="'x-amz-content-sha256' header does not match"):
        check(s3, b"other", s3=True)


def test_an_unsigned_body_has_to_be_allowed():
    ours = sign("PUT", "http://h/b/k", {}, b"", KEYS, region="us-east-1", service="s3", now=NOW, s3=True,
                payload="UNSIGNED-PAYLOAD")  # fmt: skip
    request = SignedRequest("PUT", b"/b/k", b"", [(name.encode(), value.encode()) for name, value in ours.items()])
    check(request, b"anything", s3=True, unsigned_payload=True)
    with pytest.raises(InvalidSignatureException, match="must be signed"):
        check(request, b"anything", s3=True)


def test_the_declared_hash_of_a_body_that_is_not_known_yet_is_believed():
    s3 = signed_by_botocore(auth.S3SigV4Auth, "PUT", "/b/k", "", b"data", service="s3")
    verify(s3, None, KEYS, NOW, 900, s3=True)
    with pytest.raises(InvalidSignatureException, match="Missing required header for this request"):
        verify(good(), None, KEYS, NOW, 900)


@pytest.mark.parametrize("later_s", [-900, 0, 900])
def test_a_date_within_the_skew(later_s):
    check(good(), b"{}", NOW + timedelta(seconds=later_s))


def test_a_date_beyond_the_skew():
    with pytest.raises(InvalidSignatureException) as old:
        check(good(), b"{}", NOW + timedelta(seconds=901))
    assert old.value.message == (
        "Signature expired: 20240506T070809Z is now earlier than 20240506T070810Z (20240506T072310Z - 15 min.)"
    )
    with pytest.raises(InvalidSignatureException) as early:
        check(good(), b"{}", NOW - timedelta(seconds=901))
    assert early.value.message == (
        "Signature not yet current: 20240506T070809Z is still later than 20240506T070808Z (20240506T065308Z + 15 min.)"
    )


def test_a_presigned_url_expires():
    check(presigned(60), now=NOW + timedelta(seconds=60))
    check(presigned(3600), now=NOW + timedelta(seconds=3600))
    with pytest.raises(InvalidSignatureException, match="Signature expired: 20240506T070909Z is now earlier than"):
        check(presigned(60), now=NOW + timedelta(seconds=61))
    with pytest.raises(InvalidSignatureException, match="Signature not yet current"):
        check(presigned(60), now=NOW - timedelta(seconds=901))


@pytest.mark.parametrize("expires", [0, -1, 604_801, "x", "٣", 10**30])
def test_a_presigned_url_cannot_last_for_ever(expires):
    with pytest.raises(IncompleteSignature, match="X-Amz-Expires must be from 1 to 604800"):
        check(presigned(expires))


def test_other_keys_are_not_known():
    with pytest.raises(UnrecognizedClientException, match="security token included in the request is invalid"):
        verify(good(), sha256(b"{}"), Credentials("AKIAOTHER", "x"), NOW, 900)
    with pytest.raises(InvalidSignatureException, match="does not match the signature"):
        verify(good(), sha256(b"{}"), Credentials(KEYS.access_key_id, "x"), NOW, 900)


def test_a_signature_is_for_a_region_and_a_service():
    check(good(), b"{}", regions=("us-east-1",), services=("sagemaker", "logs"))
    with pytest.raises(InvalidSignatureException, match="scoped to a valid region, not 'us-east-1'"):
        check(good(), b"{}", regions=("eu-west-1",))
    with pytest.raises(InvalidSignatureException, match="scoped to correct service: 'logs'"):
        check(good(), b"{}", services=("logs",))


def test_no_signature_at_all():
    with pytest.raises(MissingAuthenticationToken):
        check(SignedRequest("POST", b"/", b"", [(b"host", b"h")]))


def header(value, **more):
    date = more.get("date", b"20240506T070809Z")
    extra = more.get("extra", [])
    return SignedRequest("POST", b"/", b"", [(b"host", b"h"), (b"x-amz-date", date), (b"authorization", value), *extra])


SCOPE = f"{KEYS.access_key_id}/20240506/us-east-1/sagemaker/aws4_request"


def authorization(scope=SCOPE, signed="host;x-amz-date", signature="x"):
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={signature}".encode("latin-1")


@pytest.mark.parametrize(
    ("authorization", "error", "text"),
    [
        (b"", IncompleteSignature, "Unsupported algorithm"),
        (b"Basic abc", IncompleteSignature, "Unsupported algorithm in Authorization: 'Basic'"),
        (b"AWS4-ECDSA-P256-SHA256 Credential=x", IncompleteSignature, "use AWS4-HMAC-SHA256"),
        (b"AWS4-HMAC-SHA256", IncompleteSignature, "missing equal-sign"),
        (b"AWS4-HMAC-SHA256 Credential= x", IncompleteSignature, "'x' not a valid key=value pair"),
        (b"AWS4-HMAC-SHA256 Credential=x", IncompleteSignature, "requires 'SignedHeaders' parameter. Authorization"),
        (authorization("a/b"), IncompleteSignature, "exactly 5 slash-delimited elements"),
        (authorization(f"{SCOPE}x"), InvalidSignatureException, "valid terminator"),
        (authorization(signed="x-amz-date"), InvalidSignatureException, "'Host' must be a 'SignedHeader'"),
        (authorization(signed="host"), InvalidSignatureException, "'x-amz-date' must be a 'SignedHeader'"),
        (authorization(signed=";".join("h" * 300)), IncompleteSignature, "More than 200"),
        (authorization(SCOPE.replace("0506/", "0507/")), InvalidSignatureException, "'20240507' != '20240506', from '"),
        (authorization(SCOPE.replace("0506/", "/")), InvalidSignatureException, "Date in Credential scope does not"),
        (authorization(signature="\xff"), InvalidSignatureException, "does not match the signature you provided"),
        (authorization(SCOPE.replace("us-", "é-")), InvalidSignatureException, "does not match the signature you"),
    ],
)
def test_the_error_for_an_incomplete_signature_names_what_is_missing(authorization, error, text):
    with pytest.raises(error) as caught:
        check(header(authorization))
    assert text in caught.value.message


@pytest.mark.parametrize("date", [b"", b"yesterday", b"20241306T070809Z", b"2024-05-06T07:08:09Z", b"\xff"])
def test_a_malformed_date_is_named(date):
    with pytest.raises(IncompleteSignature, match="Date"):
        check(header(authorization(), date=date))


def test_a_date_header_does_as_well():
    request = AWSRequest(method="POST", url="https://host/", data=b"", headers={"Date": "soon"})
    keys = BotocoreCredentials(KEYS.access_key_id, KEYS.secret_access_key)
    auth.SigV4Auth(keys, "sagemaker", "us-east-1").add_auth(request)
    assert "X-Amz-Date" not in request.headers
    check(on_the_wire(request))
    for date in (b"", b"soon", b"Mon, 99 May 2024 07:08:09 GMT"):
        with pytest.raises(IncompleteSignature, match="Date"):
            check(replaced(on_the_wire(request), b"date", date))


@pytest.mark.parametrize(
    "query",
    [
        b"X-Amz-Signature=x",
        b"X-Amz-Algorithm=AWS4-HMAC-SHA256",
        b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%ff&X-Amz-Date=x&X-Amz-Expires=1&X-Amz-SignedHeaders=host&"
        b"X-Amz-Signature=%ff",
    ],
)
def test_the_error_for_an_incomplete_presigned_url_names_what_is_missing(query):
    with pytest.raises(IncompleteSignature):
        check(SignedRequest("GET", b"/", query, [(b"host", b"h")]))


def test_signing_keys_are_cached():
    signing_key.cache_clear()
    for _ in range(3):
        check(good(), b"{}")
    assert signing_key.cache_info().misses == 1
    assert sha256(b"") == EMPTY_SHA256
