"""S3 through the proxy: plain boto3 with bucket.host names, a real S3 behind, bodies that are not right."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import ssl
import urllib.error
import urllib.request
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from clary.core.credentials import Credentials
from clary.core.sigv4 import EMPTY_SHA256, sign, signing_key
from clary.proxy.chunked import SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER
from tests.faults.event_loop import until
from tests.faults.proxy_world import World, read_to_end
from tests.s3server import running_s3

HOST = "buck.s3.us-east-1.amazonaws.com"
MIB = 2**20


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def world(s3):
    s3.empty()
    made = World(s3.settings.home, port=s3.settings.port)
    yield made
    made.close()


def b64(raw):
    return base64.b64encode(raw).decode()


def object_file(s3, key, bucket="buck"):
    return s3.folder / bucket / key


# ---- what people do ----


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
@pytest.mark.parametrize("style", ["virtual", "path"])
@pytest.mark.parametrize("dualstack", [False, True])
def test_an_object_is_put_read_copied_listed_and_deleted(world, s3, region, style, dualstack):
    client = world.client("s3", region, config={"s3": {"addressing_style": style, "use_dualstack_endpoint": dualstack}})
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    client.create_bucket(Bucket="made", **where)
    key = "a folder/ü+&=;c~'.txt"
    client.put_object(Bucket="made", Key=key, Body=b"hello", Metadata={"note": "a  b"}, ContentType="text/x")
    assert object_file(s3, key, "made").read_bytes() == b"hello"
    assert client.head_object(Bucket="made", Key=key)["ContentLength"] == 5
    answer = client.get_object(Bucket="made", Key=key)
    assert (answer["Body"].read(), answer["ContentType"], answer["Metadata"]) == (b"hello", "text/x", {"note": "a  b"})
    assert client.get_object(Bucket="made", Key=key, Range="bytes=1-2")["Body"].read() == b"el"
    client.copy_object(Bucket="made", Key="copy", CopySource={"Bucket": "made", "Key": key})
    assert [o["Key"] for o in client.list_objects_v2(Bucket="made")["Contents"]] == [key, "copy"]
    assert [o["Key"] for o in client.list_objects_v2(Bucket="made", Prefix="a folder/")["Contents"]] == [key]
    client.delete_objects(Bucket="made", Delete={"Objects": [{"Key": key}, {"Key": "copy"}]})
    assert "Contents" not in client.list_objects_v2(Bucket="made")
    assert {b["Name"] for b in client.list_buckets()["Buckets"]} == {"buck", "made"}
    client.delete_bucket(Bucket="made")
    with pytest.raises(ClientError, match="404"):
        client.head_bucket(Bucket="made")


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
@pytest.mark.parametrize("size", [0, 1, 3 * MIB + 7])
def test_every_checksum_boto3_can_send(world, s3, algorithm, size):
    body = bytes(range(256)) * (size // 256 + 1)
    world.client("s3").put_object(Bucket="buck", Key="k", Body=body[:size], ChecksumAlgorithm=algorithm)
    assert object_file(s3, "k").read_bytes() == body[:size]


def test_a_body_of_unknown_kind_of_length_is_read_once(world, s3):
    """A stream, as pandas and the SDKs upload them."""
    with (s3.folder / "source").open("w+b") as file:
        file.write(b"x" * MIB)
        file.seek(0)
        world.client("s3").put_object(Bucket="buck", Key="k", Body=file)
    (s3.folder / "source").unlink()
    assert object_file(s3, "k").stat().st_size == MIB


def test_large_objects_are_uploaded_in_parts(world, s3):
    body = bytes(range(256)) * (20 * MIB // 256)
    client = world.client("s3")
    client.upload_fileobj(io.BytesIO(body), "buck", "big")
    assert object_file(s3, "big").read_bytes() == body
    got = io.BytesIO()
    client.download_fileobj("buck", "big", got)
    assert got.getvalue() == body


def test_bodies_are_not_held_in_memory(world, s3):
    """What is sent reaches the S3 behind before the client is done."""
    size = 8 * MIB
    with signed_put(world, "k", size, "UNSIGNED-PAYLOAD") as connection:
        connection.sendall(b"x" * (size - 1))
        until(lambda: any(f.stat().st_size > MIB for f in (s3.folder / "buck").iterdir()), "a part lies behind")
        connection.sendall(b"x")
        assert read_to_end(connection).startswith(b"HTTP/1.1 200 ")


def test_default_bucket_as_the_sdks_make_it(world):
    """sagemaker.Session().default_bucket(): who am I, is it mine, make it."""
    client, bucket = world.client("s3"), "sagemaker-us-east-1-000000000000"
    with pytest.raises(ClientError) as caught:
        client.head_bucket(Bucket=bucket, ExpectedBucketOwner="000000000000")
    assert caught.value.response["Error"]["Code"] == "404"
    client.create_bucket(Bucket=bucket)
    client.head_bucket(Bucket=bucket, ExpectedBucketOwner="000000000000")


def test_errors_of_the_s3_service_are_forwarded_unchanged(world):
    client = world.client("s3")
    with pytest.raises(client.exceptions.NoSuchKey):
        client.get_object(Bucket="buck", Key="missing")
    with pytest.raises(client.exceptions.NoSuchBucket):
        client.list_objects_v2(Bucket="missing")


@pytest.fixture
def opener(world):
    """What follows a link: it knows the proxy and whom to trust, and no key."""
    trust = ssl.create_default_context(cafile=str(world.bundle))
    proxy = urllib.request.ProxyHandler({"https": f"http://127.0.0.1:{world.port}"})
    opener = urllib.request.build_opener(proxy, urllib.request.HTTPSHandler(context=trust))

    def open_url(url, data=None, method="GET"):
        request = urllib.request.Request(url, data, {"Content-Type": ""} if data else {}, method=method)
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    return open_url


@pytest.mark.parametrize("style", ["virtual", "path"])
@pytest.mark.parametrize("version", [None, "s3v4"])
def test_presigned_urls(world, s3, opener, style, version):
    client = world.client("s3", config={"s3": {"addressing_style": style}, "signature_version": version})
    where = {"Bucket": "buck", "Key": "a b/ü+c"}
    assert opener(client.generate_presigned_url("put_object", Params=where), b"by link", "PUT")[0] == 200
    assert object_file(s3, "a b/ü+c").read_bytes() == b"by link"
    get = client.generate_presigned_url("get_object", Params=where)
    assert opener(get) == (200, b"by link")
    status, body = opener(get.replace("a%20b", "a%20c"))
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)
    status, body = opener(get.replace("Expires=", "Expires=1"))
    assert status in (400, 403)


def test_an_unsigned_request_is_refused(opener):
    status, body = opener(f"https://{HOST}/k")
    assert status == 403
    assert b"<Code>AccessDenied</Code>" in body


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"aws_access_key_id": "AKIAOTHER"}, "InvalidAccessKeyId"),
        ({"aws_secret_access_key": "other"}, "SignatureDoesNotMatch"),
    ],
)
def test_another_key_is_refused_before_any_byte_of_the_body(world, s3, keys, code):
    with pytest.raises(ClientError, match=code):
        world.client("s3", **keys).put_object(Bucket="buck", Key="k", Body=b"x" * MIB)
    assert not object_file(s3, "k").exists()


def test_a_session_token_changes_nothing(world, s3):
    world.client("s3", aws_session_token="token").put_object(Bucket="buck", Key="k", Body=b"x")
    assert object_file(s3, "k").exists()


def test_an_s3_of_your_own_behind_the_proxy(s3, tmp_path):
    keys = s3.credentials
    world = World(
        tmp_path,
        s3_endpoint_url=s3.service.url,
        s3_access_key_id=keys.access_key_id,
        s3_secret_access_key=keys.secret_access_key,
        region="eu-west-1",
    )
    try:
        assert world.credentials != keys
        world.client("s3", "eu-west-1").put_object(Bucket="buck", Key="own", Body=b"x")
        assert object_file(s3, "own").read_bytes() == b"x"
    finally:
        world.close()


# ---- bodies that are not as they should be ----


def put_headers(world, key, size, payload, now=None, **more):
    url = f"https://{HOST}/{key}"
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    return sign(
        "PUT",
        url,
        headers,
        b"",
        world.credentials,
        region="us-east-1",
        service="s3",
        now=now or datetime.now(UTC),
        s3=True,
        payload=payload,
    ) | {"content-length": str(size)}


class signed_put:  # noqa: N801 - reads like a call
    """A PUT whose head is sent; the body is the test's."""

    def __init__(self, world, key, size, payload, **more):
        self.headers = put_headers(world, key, size, payload, **more)
        self._opened = world.tls(HOST)
        self._key = key

    def __enter__(self):
        connection = self._opened.__enter__()
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        connection.sendall(f"PUT /{self._key} HTTP/1.1\r\n{lines}connection: close\r\n\r\n".encode())
        return connection

    def __exit__(self, *error):
        return self._opened.__exit__(*error)


def put(world, body, payload, **more):
    """The answer to a PUT of exactly these bytes."""
    with signed_put(world, "k", len(body), payload, **more) as connection:
        connection.sendall(body)
        return read_to_end(connection)


@pytest.mark.parametrize("size", [10, 5 * MIB])
@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("crc", b"BadDigest"),
        ("short", b"IncompleteBody"),
        ("long", b"IncompleteBody"),
        ("broken", b"IncompleteBody"),
        ("missing", b"IncompleteBody"),
    ],
)
def test_a_body_that_arrives_damaged_leaves_the_old_object_alone(world, s3, size, damage, code):
    object_file(s3, "k").write_bytes(b"before")
    data, announced = b"x" * size, {"short": size + 1, "long": size - 1}.get(damage, size)
    trailer = b"" if damage == "missing" else b"x-amz-checksum-crc32:AAAAAA==\r\n"
    body = f"{size:x}\r\n".encode() + data + (b"!!" if damage == "broken" else b"\r\n") + b"0\r\n" + trailer + b"\r\n"
    answer = put(
        world, body, UNSIGNED_TRAILER, x_amz_decoded_content_length=str(announced), x_amz_trailer="x-amz-checksum-crc32"
    )
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<Code>" + code + b"</Code>" in answer
    assert_as_before(s3)


def assert_as_before(s3):
    """The object is what it was, and nothing half written stays beside it."""
    assert object_file(s3, "k").read_bytes() == b"before"
    until(lambda: [f.name for f in (s3.folder / "buck").iterdir()] == ["k"], "what was begun is swept away")


@pytest.mark.parametrize("size", [10, 5 * MIB])
def test_another_body_than_the_signed_one_leaves_the_old_object_alone(world, s3, size):
    object_file(s3, "k").write_bytes(b"before")
    answer = put(world, b"x" * size, hashlib.sha256(b"y" * size).hexdigest())
    assert b"<Code>XAmzContentSHA256Mismatch</Code>" in answer
    assert_as_before(s3)


def test_a_client_that_dies_in_the_middle_leaves_the_old_object_alone(world, s3):
    object_file(s3, "k").write_bytes(b"before")
    with signed_put(world, "k", 8 * MIB, "UNSIGNED-PAYLOAD") as connection:
        connection.sendall(b"x" * 4 * MIB)
        until(lambda: len(list((s3.folder / "buck").iterdir())) == 2, "it has begun")
    assert_as_before(s3)
    until(lambda: not world.open_connections, "the connection is forgotten")


def signed_chunks(world, headers, chunks, trailer=""):
    """A body as Java's SDK and others sign it, chunk by chunk; all of it comes from AWS's description."""
    stamp, last = headers["x-amz-date"], headers["authorization"].rpartition("=")[2]
    scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
    key = signing_key(world.credentials.secret_access_key, stamp[:8], "us-east-1", "s3")

    def next_signature(kind, *digests):
        text = "\n".join((f"AWS4-HMAC-SHA256-{kind}", stamp, scope, last, *digests))
        return hmac.digest(key, text.encode(), "sha256").hex()

    body = b""
    for chunk in (*chunks, b""):
        last = next_signature("PAYLOAD", EMPTY_SHA256, hashlib.sha256(chunk).hexdigest())
        body += f"{len(chunk):x};chunk-signature={last}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    if trailer:
        signature = next_signature("TRAILER", hashlib.sha256(f"{trailer}\n".encode()).hexdigest())
        body += f"{trailer}\r\nx-amz-trailer-signature:{signature}\r\n".encode()
    return body + b"\r\n"


CHUNKS = [b"a" * 65536, b"b" * 65536, b"c" * 10]


@pytest.mark.parametrize("trailer", ["", f"x-amz-checksum-crc32:{b64(zlib.crc32(b''.join(CHUNKS)).to_bytes(4))}"])
@pytest.mark.parametrize("tampered", [False, True])
def test_signed_chunks(world, s3, trailer, tampered):
    object_file(s3, "k").write_bytes(b"before")
    more = {"x_amz_trailer": "x-amz-checksum-crc32"} if trailer else {}
    request = signed_put(
        world,
        "k",
        0,
        SIGNED_TRAILER if trailer else SIGNED,
        x_amz_decoded_content_length=str(len(b"".join(CHUNKS))),
        content_encoding="aws-chunked",
        **more,
    )
    body = signed_chunks(world, request.headers, CHUNKS, trailer)
    request.headers["content-length"] = str(len(body))
    with request as connection:
        connection.sendall(body.replace(b"c" * 10, b"d" * 10) if tampered else body)
        answer = read_to_end(connection)
    if tampered:
        assert b"<Code>SignatureDoesNotMatch</Code>" in answer
        assert_as_before(s3)
    else:
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert object_file(s3, "k").read_bytes() == b"".join(CHUNKS)


@pytest.mark.parametrize(
    ("payload", "more", "status", "code"),
    [
        ("UNSIGNED-PAYLOAD", {"now": datetime.now(UTC) - timedelta(hours=1)}, 403, "SignatureDoesNotMatch"),
        ("UNSIGNED-PAYLOAD", {"now": datetime.now(UTC) + timedelta(hours=1)}, 403, "SignatureDoesNotMatch"),
        ("not-a-hash", {}, 400, "InvalidRequest"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", {"x_amz_decoded_content_length": "1"}, 400, "InvalidRequest"),
        (UNSIGNED_TRAILER, {}, 411, "MissingContentLength"),
        (UNSIGNED_TRAILER, {"x_amz_decoded_content_length": "-1"}, 400, "InvalidRequest"),
        (UNSIGNED_TRAILER, {"x_amz_decoded_content_length": "1" * 40}, 400, "InvalidRequest"),
    ],
)
def test_bad_headers_are_refused_before_the_body(world, s3, payload, more, status, code):
    answer = put(world, b"x", payload, **more)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert f"<Code>{code}</Code>".encode() in answer
    assert list((s3.folder / "buck").iterdir()) == []


def test_100_continue_follows_the_verification(world):
    for keys, status in ((world.credentials, b"100"), (Credentials("AKIAOTHER", "s"), b"403")):
        world_of = type("W", (), {"credentials": keys, "tls": world.tls})
        with signed_put(world_of, "k", 5, "UNSIGNED-PAYLOAD", expect="100-continue") as connection:
            assert connection.recv(4096).startswith(b"HTTP/1.1 " + status + b" ")


def test_a_signature_for_another_host_is_refused(world, s3):
    """The Host header names the bucket, so it has to be signed."""
    headers = put_headers(world, "k", 1, "UNSIGNED-PAYLOAD")
    with world.tls("other.s3.amazonaws.com") as connection:
        lines = "".join(f"{n}: {v}\r\n" for n, v in (headers | {"host": "other.s3.amazonaws.com"}).items())
        connection.sendall(f"PUT /k HTTP/1.1\r\n{lines}connection: close\r\n\r\nx".encode())
        assert b"<Code>SignatureDoesNotMatch</Code>" in read_to_end(connection)


def test_an_added_header_is_refused(world):
    with signed_put(world, "k", 0, "UNSIGNED-PAYLOAD") as connection:
        assert read_to_end(connection).startswith(b"HTTP/1.1 200 ")
    request = signed_put(world, "k", 0, "UNSIGNED-PAYLOAD")
    request.headers["x-amz-copy-source"] = "/buck/secret"
    with request as connection:
        assert b"x-amz-copy-source" in read_to_end(connection)
