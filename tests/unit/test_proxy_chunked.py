"""aws-chunked bodies: AWS's own examples, any way of cutting them, and everything that can be wrong with one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.core.sigv4 import Claim, signing_key
from clary.proxy.checks import Checks, checked
from clary.proxy.chunked import ChunkSigner, decode
from clary.proxy.errors import BadDigest, IncompleteBody, SignatureDoesNotMatch, XAmzContentSHA256Mismatch

# The examples of the S3 API Reference, "Transferring Payload in Multiple Chunks", without and with trailers.
KEY = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3")
CHUNKS = [b"a" * 65536, b"a" * 1024, b""]
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
SIGNATURES = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
]
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILER_SIGNATURES = [
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
]
TRAILER = "x-amz-checksum-crc32c:sOO8/Q=="
TRAILER_SIGNATURE = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"


def signer(seed):
    return ChunkSigner(Claim("AKIA", "20130524", "us-east-1", "s3", "20130524T000000Z", ("host",), seed), KEY)


def encoded(chunks, signatures=(), *trailers):
    out = b""
    for number, chunk in enumerate(chunks):
        extension = f";chunk-signature={signatures[number]}" if signatures else ""
        out += f"{len(chunk):x}{extension}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    return out + "".join(f"{line}\r\n" for line in trailers).encode() + b"\r\n"


async def pieces(*given):
    for piece in given:
        if piece:
            yield piece


def read(*given, **how):
    """What is inside, and the trailers."""

    async def run():
        trailers = {}
        return b"".join([piece async for piece in decode(pieces(*given), trailers, **how)]), trailers

    return asyncio.run(run())


def test_the_example_of_signed_chunks():
    assert read(encoded(CHUNKS, SIGNATURES), signer=signer(SEED)) == (b"a" * 66560, {})


def test_the_example_of_signed_chunks_and_trailers():
    body = encoded(CHUNKS, TRAILER_SIGNATURES, TRAILER, f"x-amz-trailer-signature:{TRAILER_SIGNATURE}")
    inside, trailers = read(body, signer=signer(TRAILER_SEED), sign_trailers=True)
    assert len(inside) == 66560
    assert trailers == {"x-amz-checksum-crc32c": "sOO8/Q=="}


@pytest.mark.parametrize(
    ("chunks", "signatures"),
    [
        ([b"b" * 65536, b"a" * 1024, b""], SIGNATURES),  # another body
        (CHUNKS, [SIGNATURES[0], "0" * 64, SIGNATURES[2]]),
        ([b"a" * 65536, b""], [SIGNATURES[0], SIGNATURES[2]]),  # one is left out
        ([b"a" * 1024, b"a" * 65536, b""], [SIGNATURES[1], SIGNATURES[0], SIGNATURES[2]]),  # in another order
        (CHUNKS, ()),  # not signed at all
    ],
)
def test_chunks_that_were_not_signed_so_are_refused(chunks, signatures):
    with pytest.raises(SignatureDoesNotMatch):
        read(encoded(chunks, signatures), signer=signer(SEED))


@pytest.mark.parametrize(
    "trailers",
    [
        [TRAILER.replace("sOO8", "sOO9"), f"x-amz-trailer-signature:{TRAILER_SIGNATURE}"],
        [TRAILER],
        [f"x-amz-trailer-signature:{TRAILER_SIGNATURE}"],
    ],
)
def test_trailers_that_were_not_signed_so_are_refused(trailers):
    with pytest.raises(SignatureDoesNotMatch):
        read(encoded(CHUNKS, TRAILER_SIGNATURES, *trailers), signer=signer(TRAILER_SEED), sign_trailers=True)


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=4),
    cuts=st.lists(st.integers(min_value=0, max_value=300), max_size=12),
)
def test_pieces_may_have_any_size(chunks, cuts):
    body = encoded([*chunks, b""], (), "x-amz-checksum-crc32:AAAAAA==")
    ends = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    cut = [body[a:b] for a, b in itertools.pairwise(ends)]
    assert read(*cut) == (b"".join(chunks), {"x-amz-checksum-crc32": "AAAAAA=="})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "ends before its last chunk"),
        (b"5\r\nhel", "ends before its last chunk"),
        (b"5\r\nhello\r\n", "ends before its last chunk"),
        (b"5\r\nhello\r\n0\r\n", "ends before its last chunk"),
        (b"3\r\nhello\r\n0\r\n\r\n", "longer than its declared length"),
        (b"five\r\nhello\r\n0\r\n\r\n", "is not a length"),
        (b"-5\r\nhello\r\n0\r\n\r\n", "is not a length"),
        (b"\r\n", "is not a length"),
        (b"0" * 20 + b"\r\n\r\n", "is not a length"),
        (b"5;other=1\r\nhello\r\n0\r\n\r\n", "is not a length"),
        (b"0" * 5000, "a line between the body's chunks"),
        (b"0\r\nno trailer\r\n\r\n", "is malformed"),
        (b"0\r\nname: \x00\r\n\r\n", "is malformed"),
        (b"0\r\n" + b"".join(b"t%d:v\r\n" % n for n in range(17)) + b"\r\n", "more than 16"),
        (b"0\r\n\r\nmore", "goes on after"),
    ],
)
def test_what_is_malformed_is_refused(body, text):
    with pytest.raises(IncompleteBody, match=f"(?i){text}"):
        read(body)


def b64(digest):
    return base64.b64encode(digest).decode()


BODY = b"some bytes of an object"
RIGHT = {
    "x-amz-checksum-crc32": b64(zlib.crc32(BODY).to_bytes(4)),
    "x-amz-checksum-sha1": b64(hashlib.sha1(BODY).digest()),
    "x-amz-checksum-sha256": b64(hashlib.sha256(BODY).digest()),
    "x-amz-checksum-sha512": b64(hashlib.sha512(BODY).digest()),
    "x-amz-checksum-md5": b64(hashlib.md5(BODY).digest()),
}


def pass_on(checks, body=(BODY[:9], BODY[9:]), trailers=None):
    """What came through before an error, and the error."""

    async def run():
        through = []
        try:
            async for piece in checked(pieces(*body), checks, trailers or {}):
                through.append(piece)  # noqa: PERF401 - what came before an error counts
        except Exception as error:
            return b"".join(through), error
        return b"".join(through), None

    return asyncio.run(run())


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("where", ["before", "behind"])
def test_a_body_with_its_checksum(name, where):
    if where == "before":
        assert pass_on(Checks(len(BODY), headers={name: RIGHT[name]})) == (BODY, None)
    else:
        assert pass_on(Checks(len(BODY), trailers=name), trailers={name: RIGHT[name]}) == (BODY, None)


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("wrong", ["AAAAAA==", "", "not base64!"])
def test_a_wrong_checksum_withholds_the_last_piece(name, wrong):
    for checks, trailers in (
        (Checks(len(BODY), headers={name: wrong}), {}),
        (Checks(len(BODY), trailers=name), {name: wrong}),
    ):
        through, error = pass_on(checks, trailers=trailers)
        assert through == BODY[:9]
        assert isinstance(error, BadDigest)
        assert name in error.message


@pytest.mark.parametrize(
    ("checks", "error", "text"),
    [
        (Checks(len(BODY) + 1), IncompleteBody, "1 bytes shorter"),
        (Checks(len(BODY) - 1), IncompleteBody, "longer"),
        (Checks(len(BODY), sha256="0" * 64), XAmzContentSHA256Mismatch, "x-amz-content-sha256"),
        (Checks(len(BODY), md5=b64(b"0" * 16)), BadDigest, "content-md5"),
        (Checks(len(BODY), trailers="x-amz-checksum-crc32"), IncompleteBody, "and not sent"),
    ],
)
def test_other_mismatches(checks, error, text):
    through, raised = pass_on(checks)
    assert through != BODY
    assert type(raised) is error
    assert text in raised.message


def test_the_signed_hash_and_md5_match():
    checks = Checks(len(BODY), hashlib.sha256(BODY).hexdigest(), b64(hashlib.md5(BODY).digest()))
    assert pass_on(checks) == (BODY, None)


def test_checksums_of_unknown_kinds_are_not_compared():
    checks = Checks(len(BODY), headers={"x-amz-checksum-crc64nvme": "AAAA"}, trailers="x-amz-checksum-crc32c")
    assert pass_on(checks, trailers={"x-amz-checksum-crc32c": "AAAA"}) == (BODY, None)


def test_an_empty_body_is_checked_too():
    assert pass_on(Checks(0, headers={"x-amz-checksum-crc32": "AAAAAA=="}), ()) == (b"", None)
    assert isinstance(pass_on(Checks(0, sha256="0" * 64), ())[1], XAmzContentSHA256Mismatch)
