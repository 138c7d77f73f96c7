"""`clary env --transparent`: one proxy per home, adopted by the next shell, and what is exported is enough."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import socket
import stat
import subprocess
import sys
import textwrap
import threading

import pytest
import uvicorn

from clary.core.clock import SystemClock
from clary.core.settings import Settings
from clary.detached import process
from clary.proxy.start import stop, transparent_environment
from clary.wire.server import make_app
from tests.faults.proxy_world import free_ports
from tests.s3server import running_s3


@pytest.fixture
def settings(tmp_path):
    made = Settings(home=tmp_path / "home", port=free_ports(3))
    yield made
    stop(made)


def pid(settings):
    with process.found(settings.paths.run / "proxy.lock") as running:
        return running and running.pid


def port(variables):
    return int(variables["HTTPS_PROXY"].rpartition(":")[2])


def test_it_is_started_once_and_found_again(settings):
    first = transparent_environment(settings)
    began = pid(settings)
    assert transparent_environment(settings) == first
    assert began is not None
    assert pid(settings) == began
    assert json.loads((settings.paths.run / "proxy.json").read_text()) == {"port": port(first)}


def test_the_exported_variables(settings, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "intranet.example, 127.0.0.1")
    variables = transparent_environment(settings)
    assert variables["HTTPS_PROXY"] == variables["https_proxy"] == f"http://127.0.0.1:{port(variables)}"
    assert variables["NO_PROXY"] == variables["no_proxy"] == "127.0.0.1,localhost,::1,intranet.example"
    bundle = variables["AWS_CA_BUNDLE"]
    assert {variables[name] for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")} == {bundle}
    assert variables["SAGEMAKER_ROLE_ARN"].startswith("arn:aws:iam::000000000000:role/")
    assert variables["AWS_DEFAULT_REGION"] == "us-east-1"
    key = settings.paths.certificates / "authority.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "PRIVATE" not in (settings.paths.certificates / "bundle.pem").read_text()


def test_two_shells_at_once_get_the_same_one(settings):
    with concurrent.futures.ThreadPoolExecutor(3) as shells:
        got = list(shells.map(lambda _: transparent_environment(settings), range(3)))
    assert got[0] == got[1] == got[2]


def test_after_a_stop_it_comes_back_at_the_same_port_with_the_same_authority(settings):
    """Shells and notebooks that have its address go on to work."""
    first = transparent_environment(settings)
    bundle = (settings.paths.certificates / "bundle.pem").read_text()
    stop(settings)
    stop(settings)
    assert pid(settings) is None
    assert transparent_environment(settings) == first
    assert (settings.paths.certificates / "bundle.pem").read_text() == bundle


def test_other_settings_replace_it_at_the_same_port(settings):
    first, began = transparent_environment(settings), pid(settings)
    moved = dataclasses.replace(settings, port=free_ports(3))
    assert transparent_environment(moved) == first
    assert pid(settings) != began


def test_a_new_authority_replaces_it(settings):
    transparent_environment(settings)
    began = pid(settings)
    (settings.paths.certificates / "authority.pem").unlink()
    transparent_environment(settings)
    assert pid(settings) != began


@pytest.mark.parametrize("left", ["", "{", "[]", '{"port": "x"}', '{"port": 99999}'])
def test_a_damaged_record_of_its_port_is_ignored(settings, left):
    settings.paths.run.mkdir(parents=True)
    (settings.paths.run / "proxy.json").write_text(left)
    assert port(transparent_environment(settings)) > 0


def test_a_port_that_somebody_took_meanwhile_is_given_up(settings):
    first = transparent_environment(settings)
    stop(settings)
    with socket.create_server(("127.0.0.1", port(first))):
        assert port(transparent_environment(settings)) != port(first)


def test_the_command_prints_what_a_shell_can_run_and_nothing_else(settings):
    argv = [sys.executable, "-m", "clary", "env", "--transparent", "--home", str(settings.home)]
    for _ in range(2):
        printed = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
        assert all(line.startswith("export ") for line in printed.splitlines())
        assert "HTTPS_PROXY=http://127.0.0.1:" in printed
    variables = json.loads(subprocess.run([*argv, "--json"], capture_output=True, timeout=60, check=True).stdout)
    assert f"export AWS_CA_BUNDLE={variables['AWS_CA_BUNDLE']}" in printed


SCRIPT = """
    import boto3, io, os
    assert not [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]
    # As both SageMaker SDKs write it: default_bucket(), account_id(), get_execution_role().
    region = boto3.Session().region_name
    sts = boto3.client("sts", region_name=region, endpoint_url=f"https://sts.{region}.amazonaws.com")
    identity = sts.get_caller_identity()
    bucket = f"sagemaker-{region}-{identity['Account']}"
    s3 = boto3.resource("s3", region_name=region)
    s3.create_bucket(Bucket=bucket)
    s3.meta.client.head_bucket(Bucket=bucket, ExpectedBucketOwner=identity["Account"])
    s3.Object(bucket, "data/train.csv").upload_fileobj(io.BytesIO(b"1,2"))
    print(s3.Object(bucket, "data/train.csv").get()["Body"].read(), identity["Arn"])
"""


def test_the_exported_variables_are_all_that_an_untouched_script_needs(tmp_path):
    with running_s3(tmp_path / "home") as s3, control(s3.settings, s3.credentials):
        try:
            variables = transparent_environment(s3.settings)
            clean = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "CLARY_"))}
            done = subprocess.run(
                [sys.executable, "-c", textwrap.dedent(SCRIPT)],
                env={**clean, **variables},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            stop(s3.settings)
    assert done.stdout == "b'1,2' arn:aws:sts::000000000000:assumed-role/Clary/clary\n", done.stderr


async def who_am_i(request):
    return {
        "UserId": "AROA:clary",
        "Account": "000000000000",
        "Arn": "arn:aws:sts::000000000000:assumed-role/Clary/clary",
    }


@contextlib.contextmanager
def control(settings, credentials):
    """The control API on its port, with one operation."""
    app = make_app({("sts", "GetCallerIdentity"): who_am_i}, credentials, settings, SystemClock())
    config = uvicorn.Config(app, http="httptools", loop="asyncio", ws="none", log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", settings.port)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()
