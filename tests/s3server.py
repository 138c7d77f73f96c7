"""An embedded S3 for tests: real, on a free port, in a home of its own."""

import asyncio
import contextlib
import shutil
import socket
from dataclasses import dataclass

import boto3
from botocore.config import Config

from clary.core.credentials import Credentials, load_or_make
from clary.core.settings import Settings
from clary.services.s3 import embedded_s3
from clary.services.service import Service


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class S3Server:
    settings: Settings
    credentials: Credentials
    service: Service

    @property
    def folder(self):
        return self.settings.paths.buckets

    def client(self, **config):
        """An S3 client like anybody's: plain boto3, but for what a test asks for."""
        return boto3.client(
            "s3",
            endpoint_url=self.service.url,
            region_name="us-east-1",
            aws_access_key_id=self.credentials.access_key_id,
            aws_secret_access_key=self.credentials.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

    def empty(self):
        for bucket in self.folder.iterdir():
            shutil.rmtree(bucket)
        (self.folder / "buck").mkdir()


def s3_at(home, **settings):
    """A server's parts; nothing runs yet."""
    made = Settings(home=home, **{"port": free_port() - 2, **settings})
    credentials = load_or_make(made.paths.credentials)
    return S3Server(made, credentials, embedded_s3(made, credentials))


@contextlib.contextmanager
def running_s3(home, **settings):
    server = s3_at(home, **settings)
    asyncio.run(server.service.start_or_adopt())
    try:
        server.empty()
        yield server
    finally:
        asyncio.run(server.service.stop(grace_s=5))
