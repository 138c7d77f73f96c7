"""Every form in which AWS lets an object be named, and none that it does not."""

import pytest

from clary.artifacts.base import S3Uri


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        ("s3://b/k", "b", "k"),
        ("s3://b", "b", ""),
        ("s3://b/", "b", ""),
        ("s3://b//k", "b", "/k"),
        ("s3://b/a%20b?c#d", "b", "a%20b?c#d"),
        ("s3://Old_Bucket.1/ü", "Old_Bucket.1", "ü"),
        ("https://s3.amazonaws.com/b/a%20b/c", "b", "a b/c"),
        ("https://s3.us-east-1.amazonaws.com/b", "b", ""),
        ("https://s3-eu-west-1.amazonaws.com/b/k", "b", "k"),
        ("https://s3.dualstack.us-west-2.amazonaws.com/b/k", "b", "k"),
        ("https://s3.cn-north-1.amazonaws.com.cn/b/k", "b", "k"),
        ("https://my.bucket.s3.us-east-1.amazonaws.com/k/x", "my.bucket", "k/x"),
        ("https://bucket.s3.amazonaws.com/k", "bucket", "k"),
        ("https://bucket.s3-us-west-2.amazonaws.com/", "bucket", ""),
        ("https://b.s3.dualstack.us-east-1.amazonaws.com/k", "b", "k"),
    ],
)
def test_valid_uris(uri, bucket, key):
    assert S3Uri.parse(uri) == S3Uri(bucket, key)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "b/k",
        "S3://b/k",
        "s3:/b/k",
        "http://s3.amazonaws.com/b/k",
        "file:///etc/passwd",
        "s3://",
        "s3:///k",
        "s3://../k",
        "s3://.b/k",
        "s3://b b/k",
        "s3://b\\c/k",
        f"s3://{'b' * 256}/k",
        f"s3://b/{'k' * 1025}",
        "s3://b/\0",
        "s3://b/\udcff",
        "https://evil.example/b/k",
        "https://s3.us-east-1.amazonaws.com.evil.example/b/k",
        "https://s3.amazonaws.com/b/k?versionId=1",
        "https://s3.amazonaws.com/",
        "https://s3.amazonaws.com/b/%00",
        "https://s3.amazonaws.com/b/%ff",
        "https://s3.amazonaws.com/%2e%2e/k",
    ],
)
def test_invalid_uris(uri):
    with pytest.raises(ValueError, match=r"is not an S3 URI|can't decode"):
        S3Uri.parse(uri)


def test_it_reads_back_as_it_is_written():
    assert str(S3Uri.parse("https://s3.amazonaws.com/b/a%20b")) == "s3://b/a b"
