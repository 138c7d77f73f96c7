"""The application behind a real HTTP server, called by an unmodified botocore."""

import socket
import threading
from pathlib import Path

import botocore.session
import pytest
import uvicorn
from botocore.config import Config
from botocore.exceptions import ClientError

from clary.core.clock import SystemClock
from clary.core.settings import Settings
from clary.wire.server import make_app
from tests.wire.asgi import KEYS


async def list_models(request):
    return {"Models": [{"ModelName": request.get("NameContains", "m"), "ModelArn": "arn", "CreationTime": 0}]}


@pytest.fixture(scope="module")
def url():
    settings = Settings(home=Path("/nowhere"), max_request_mib=1)
    app = make_app({("sagemaker", "ListModels"): list_models}, KEYS, settings, SystemClock())
    server = uvicorn.Server(uvicorn.Config(app, http="httptools", loop="asyncio", ws="none", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Whoever connects before the server runs waits in the socket's queue.
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()


@pytest.fixture
def client(url):
    client = botocore.session.get_session().create_client(
        "sagemaker",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=KEYS.access_key_id,
        aws_secret_access_key=KEYS.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
    )
    yield client
    client.close()


def test_a_request_and_its_answer(client):
    assert client.list_models(NameContains="abc")["Models"][0]["ModelName"] == "abc"


def test_a_body_that_is_too_large_is_answered_not_cut_off(client):
    with pytest.raises(ClientError, match="max_request_mib") as caught:
        client.list_models(NameContains="x" * (3 * 2**20))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert client.list_models()["Models"]


def test_a_body_without_an_announced_length_is_bounded(url):
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: SageMaker.ListModels\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        for _ in range(24):
            connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
