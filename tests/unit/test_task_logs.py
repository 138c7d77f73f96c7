"""Reading back a task's lines, whatever the names and the files are like."""

from datetime import UTC, datetime

import pytest

from clary.compute.logs import log_file, read_logs
from clary.core.tasks import LogLine, Task

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def a_task(stream="job/{host}-1", group="/aws/sagemaker/TrainingJobs", hosts=("algo-1",)):
    return Task(id="t", owner=("k", "n", "u"), image="i", log_group=group, log_stream=stream, hosts=hosts)


async def read(logs, task):
    return [line async for line in read_logs(logs, task)]


def write(logs, name, data):
    file = logs / "aws/sagemaker/TrainingJobs" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


async def test_lines_of_all_hosts_come_back_in_order(tmp_path):
    write(tmp_path, "job/algo-1-1.log", b"1000 a\n2500 b  c\n3000 \n")
    write(tmp_path, "job/algo-2-1.log", b"500 first in time, second in order\n")
    lines = await read(tmp_path, a_task(hosts=("algo-1", "algo-2", "algo-3")))
    assert lines[1] == LogLine(datetime(1970, 1, 1, 0, 0, 2, 500000, tzinfo=UTC), "b  c")
    assert [line.text for line in lines] == ["a", "b  c", "", "first in time, second in order"]


async def test_many_lines_come_back(tmp_path):
    write(tmp_path, "job/algo-1-1.log", b"".join(b"%d line\n" % n for n in range(2500)))
    assert len(await read(tmp_path, a_task())) == 2500


async def test_text_that_is_not_a_log_line_is_left_out(tmp_path):
    write(tmp_path, "job/algo-1-1.log", b"no stamp\n\xff\xfe\n7 bad \xff byte\n8 cut sh")
    assert [line.text for line in await read(tmp_path, a_task())] == ["bad \ufffd byte"]


@pytest.mark.parametrize(
    ("group", "stream"),
    [("/../..", "x"), ("/g", "../../x"), ("/g", "a//b"), ("", "x"), ("/g", "a/./b"), ("/g", "a\0b"), ("/g", "/etc/x")],
)
async def test_names_that_lead_out_of_the_folder_have_no_lines(group, stream, tmp_path):
    (tmp_path / "x.log").write_text("1 secret\n")
    logs = tmp_path / "logs" / "deep"
    logs.mkdir(parents=True)
    assert log_file(logs, group, stream) is None
    assert await read(logs, a_task(stream, group)) == []
