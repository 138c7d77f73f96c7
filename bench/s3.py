"""The embedded S3 against copying a file, and how soon a program starts on a large input."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import Figure
from bench.servers import Server, sandboxes, server
from bench.start_training import first_line

ABOUT = "put and get of 64 MiB by boto3; the first line of a program whose input is large"

OBJECT_BYTES = 64 << 20


def measure(quick: bool) -> Iterator[Figure]:
    times = 3 if quick else 5
    input_bytes = (128 if quick else 1024) << 20
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as folder:
        with server() as live:
            yield from throughput(live, Path(folder), times)
        large = Path(folder) / "large.bin"
        write(large, input_bytes)
        for sandbox, settings in sandboxes().items():
            with server(settings) as live:
                yield start_on(live, sandbox, large, 3)


def throughput(live: Server, folder: Path, times: int) -> Iterator[Figure]:
    """Both ways of one object; megabytes per second. Plain copies go through the page cache, as rclone's do."""
    body = os.urandom(OBJECT_BYTES)
    file, copy = folder / "object.bin", folder / "copy.bin"
    file.write_bytes(body)
    bucket, megabytes = live.bucket, OBJECT_BYTES / 1e6

    def get() -> None:
        assert len(live.s3.get_object(Bucket=bucket, Key="object.bin")["Body"].read()) == OBJECT_BYTES

    calls: dict[str, Callable[[], object]] = {
        "put": lambda: live.s3.put_object(Bucket=bucket, Key="object.bin", Body=body),
        "get": get,
        "copy": lambda: shutil.copyfile(file, copy),
    }
    seen: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(-1, times):  # the first is to warm up
        for name, call in calls.items():
            taken = timed(call)
            if number >= 0:
                seen[name].append(megabytes / taken)
    for name in ("put", "get"):
        yield Figure(f"{name}, {OBJECT_BYTES >> 20} MiB", "MB/s", seen[name], "a file copied", seen["copy"])


def start_on(live: Server, sandbox: str, large: Path, times: int) -> Figure:
    """From the call to the program's first line. In bubblewrap it gets the stored bytes, without it a copy."""
    stored = live.home / "s3" / live.bucket / "large" / "data.bin"
    stored.parent.mkdir(parents=True)
    os.link(large, stored)
    own, peer = [], []
    for number in range(times):
        own.append(first_line(live, f"large-{number}", "entry", InputDataConfig=[live.channel("train", "large/")]))
        peer.append(timed(lambda: shutil.copyfile(large, large.with_name("copy.bin"))))
        large.with_name("copy.bin").unlink()
    delivery = "in place" if sandbox == "bubblewrap" else "copied"
    size = f"{large.stat().st_size >> 20} MiB"
    return Figure(f"first line with {size} of input, {delivery} ({sandbox})", "s", own, "the file copied", peer)


def write(path: Path, size: int) -> None:
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(block)


def timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
