"""An embedded S3 for tests: real, on a free port, in a home of its own."""

import asyncio
import contextlib
import shutil
import socket
import time
from dataclasses import dataclass, field

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, FlexibleChecksumError

from clary.artifacts.base import S3Access
from clary.artifacts.stores import open_store
from clary.core.credentials import Credentials, load_or_make
from clary.core.settings import Settings
from clary.services.s3 import embedded_s3
from clary.services.service import Service


def until(found, within_s=10.0):
    """The first answer that is true; the S3 server may take 20 ms to see what changed beside it."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if answer := found():
                return answer
        except (ClientError, FlexibleChecksumError):
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, "the condition did not hold in time"
        time.sleep(0.005)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class S3Server:
    settings: Settings
    credentials: Credentials
    service: Service
    clients: list = field(default_factory=list)

    @property
    def folder(self):
        return self.settings.paths.buckets

    def client(self, **config):
        """An S3 client like anybody's: plain boto3, but for what a test asks for."""
        made = boto3.client(
            "s3",
            endpoint_url=self.service.url,
            region_name="us-east-1",
            aws_access_key_id=self.credentials.access_key_id,
            aws_secret_access_key=self.credentials.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}, **config),
        )
        self.clients.append(made)
        return made

    def store(self, secret=None):
        """The same over HTTP, as a store."""
        keys = self.credentials
        made = open_store(S3Access(self.service.url, "us-east-1", keys.access_key_id, secret or keys.secret_access_key))
        self.clients.append(made)
        return made

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
        for client in server.clients:
            client.close()
        asyncio.run(server.service.stop(grace_s=5))
