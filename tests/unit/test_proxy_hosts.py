"""Whose host name it is: botocore's own endpoints, and names that only resemble them."""

from __future__ import annotations

import botocore.session
import pytest
from botocore.config import Config

from clary.proxy.hosts import Destination, Service, destination, is_aws, is_name

REGIONS = ["us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "ap-southeast-2"]


@pytest.fixture(scope="module")
def endpoints():
    """Every URL that botocore makes of a service."""
    session = botocore.session.get_session()

    def prepare_request(service):
        found = set()
        for region in REGIONS:
            for dualstack in (False, True):
                for fips in (False, True):
                    config = Config(use_dualstack_endpoint=dualstack, use_fips_endpoint=fips)
                    client = session.create_client(
                        service, region, config=config, aws_access_key_id="a", aws_secret_access_key="b"
                    )
                    found.add(client.meta.endpoint_url.removeprefix("https://"))
                    client.close()
        return sorted(found)

    return prepare_request


@pytest.mark.parametrize(
    ("service", "answers"),
    [
        ("sagemaker", Service.CONTROL),
        ("sts", Service.CONTROL),
        ("iam", Service.CONTROL),
        ("logs", Service.CONTROL),
        ("sagemaker-runtime", Service.GATEWAY),
        ("s3", Service.S3),
        ("sagemaker-featurestore-runtime", Service.NONE),
        ("s3control", Service.NONE),
        ("cloudwatch", Service.NONE),
    ],
)
def test_botocores_endpoints(endpoints, service, answers):
    hosts = endpoints(service)
    assert len(hosts) >= len(REGIONS)
    assert {host: (is_aws(host), destination(host)) for host in hosts} == dict.fromkeys(
        hosts, (True, Destination(answers))
    )


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("s3.amazonaws.com", ""),
        ("s3-us-west-2.amazonaws.com", ""),
        ("s3-external-1.amazonaws.com", ""),
        ("data.s3.amazonaws.com", "data"),
        ("data.s3.us-east-1.amazonaws.com", "data"),
        ("data.s3-eu-west-1.amazonaws.com", "data"),
        ("data.s3.dualstack.eu-west-1.amazonaws.com", "data"),
        ("data.s3-fips.dualstack.us-gov-west-1.amazonaws.com", "data"),
        ("data.s3-accelerate.amazonaws.com", "data"),
        ("data.s3.cn-north-1.amazonaws.com.cn", "data"),
        ("my.dotted.bucket.s3.eu-west-1.amazonaws.com", "my.dotted.bucket"),
        ("s3.s3.amazonaws.com", "s3"),
        ("a.s3.b.s3.us-east-1.amazonaws.com", "a.s3.b"),
        ("sts.us-east-1.s3.us-east-1.amazonaws.com", "sts.us-east-1"),
    ],
)
def test_a_bucket_in_the_host_name(host, bucket):
    assert destination(host) == Destination(Service.S3, bucket)


@pytest.mark.parametrize(
    "host",
    [
        "s3-website-us-east-1.amazonaws.com",
        "data.s3-website.eu-central-1.amazonaws.com",
        "x.s3-object-lambda.us-east-1.amazonaws.com",
        "a-b.s3-accesspoint.us-east-1.amazonaws.com",
        "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com",
        "sagemaker.us-east-1.amazonaws.com",
        "notsts.us-east-1.amazonaws.com",
    ],
)
def test_services_that_clary_does_not_have(host):
    assert is_aws(host)
    assert destination(host) == Destination(Service.NONE)


def test_the_sdks_telemetry_is_not_a_bucket():
    assert destination("sm-pysdk-t-us-east-1.s3.us-east-1.amazonaws.com") == Destination(Service.TELEMETRY)


@pytest.mark.parametrize(
    "host",
    [
        "amazonaws.com", "evilamazonaws.com", "s3.amazonaws.com.evil.example", "s3.amazonaws.org", "pypi.org",
        "127.0.0.1", "s3 .amazonaws.com", "a..amazonaws.com", "", "é.amazonaws.com", ".amazonaws.com",
        "x" * 250 + ".amazonaws.com",
    ],
)  # fmt: skip
def test_names_that_only_resemble_aws(host):
    assert not is_aws(host)


@pytest.mark.parametrize(("host", "good"), [("my-host", True), ("a_b.example", True), ("a b", False), ("-", False)])
def test_names(host, good):
    assert is_name(host) is good
