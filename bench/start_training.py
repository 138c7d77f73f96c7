"""From CreateTrainingJob to the first line of the user's code, against plain `python script.py`."""

from __future__ import annotations

import io
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bench.servers import SCIKIT_LEARN, Server, sandboxes, server, soon

ABOUT = "from CreateTrainingJob to the first line of user code"

# The time is the first thing the script prints, and the first thing it does.
FIRST = 'import time; print(f"FIRST {time.time():.6f}", flush=True)'
LINGERS = f"{FIRST}; time.sleep(0.4)"  # so that its task can be measured
_FIRST = re.compile(r"FIRST ([\d.]+)")
_INVOKED = re.compile(r"^(\d+) Invoking the script", re.MULTILINE)
SOURCE = "source/{name}.tar.gz"
AIM_S = 0.5


def measure(quick: bool) -> Iterator[Figure]:
    times = 4 if quick else 15
    for sandbox, settings in sandboxes().items():
        with server(settings) as live:
            upload_scripts(live)
            yield from _start(live, sandbox, times)


def _start(live: Server, sandbox: str, times: int) -> Iterator[Figure]:
    samples: dict[str, list[float]] = defaultdict(list)
    for number in range(-1, times):  # the first is to warm up
        taken = {form: first_line(live, f"{form}-{number + 1}", form) for form in FORMS}
        taken["plain"] = plain()
        if number >= 0:
            for form, seconds in taken.items():
                samples[form].append(seconds)
    for form, name in FORMS.items():
        yield Figure(
            f"{name}, {sandbox}",
            "s",
            samples[form],
            "python script.py",
            samples["plain"],
            below=AIM_S,
            over=True,
        )
        if form == "script":
            yield from breakdown(live, max(3, times // 2))


# ---- ways to start a script ----

FORMS = {
    "entry": "ContainerEntrypoint python3 -c",
    "bash": "ContainerEntrypoint bash -c",
    "script": "script mode, scikit-learn image",
}


def upload_scripts(live: Server) -> None:
    for name, text in (("first", FIRST), ("lingers", LINGERS)):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            member = tarfile.TarInfo("train.py")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
        live.s3.put_object(Bucket=live.bucket, Key=SOURCE.format(name=name), Body=archive.getvalue())


def form_of(live: Server, form: str, lingers: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """The algorithm and what else the request needs."""
    algorithm: dict[str, Any] = {"TrainingImage": SCIKIT_LEARN}
    text = LINGERS if lingers else FIRST
    match form:
        case "entry":
            return {**algorithm, "ContainerEntrypoint": ["python3", "-c", text]}, {}
        case "bash":
            arguments = {"ContainerEntrypoint": ["/bin/bash", "-c"], "ContainerArguments": [f"python3 -c '{text}'"]}
            return {**algorithm, **arguments}, {}
    uri = f"s3://{live.bucket}/{SOURCE.format(name='lingers' if lingers else 'first')}"
    # As the SDKs write them: JSON within the string.
    return algorithm, {"HyperParameters": {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": f'"{uri}"'}}


def first_line(live: Server, name: str, form: str, **request: Any) -> float:
    """Seconds from the call to the first line; the job has ended when this returns."""
    algorithm, more = form_of(live, form)
    began = live.start_job(name, algorithm, **more, **request)
    live.completed(name)
    found = _FIRST.search(live.log_of(name))
    assert found, f"job {name} printed nothing"
    return float(found[1]) - began


def plain() -> float:
    """The same script, started by hand."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.py"
        script.write_text(FIRST)
        began = time.time()
        process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
        output, _ = process.communicate()
    found = _FIRST.search(output)
    assert found
    return float(found[1]) - began


# ---- where the time goes ----


def breakdown(live: Server, times: int) -> Iterator[Figure]:
    """Read off the times that the job leaves behind: of its files, its log, its transitions."""
    spans: dict[str, list[float]] = defaultdict(list)
    for number in range(times):
        for name, seconds in _spans(live, f"spans-{number}"):
            spans[name].append(seconds)
    for name, seconds in spans.items():
        yield Figure(name, "s", [statistics.median(seconds)], part=True)


def _spans(live: Server, name: str) -> Iterator[tuple[str, float]]:
    algorithm, more = form_of(live, "script", lingers=True)
    began = live.start_job(name, algorithm, **more)
    log = soon(lambda: text if _FIRST.search(text := live.log_of(name)) else None, 60, f"{name}'s first line")
    (folder,) = live.home.glob(f"tasks/{name}-*")
    task_written, process = (folder / "task.json").stat().st_mtime, (folder / "supervisor.lock").stat().st_mtime
    history = live.completed(name)["SecondaryStatusTransitions"]
    at = {line["Status"]: line["StartTime"].timestamp() for line in history}
    invoked, first = _INVOKED.search(log), _FIRST.search(log)
    assert invoked
    assert first
    steps = {
        "": began,
        "request checked and stored, loop, task's folder": task_written,
        "supervisor: Python starts": process,
        "supervisor: imports, reads the task": at["Downloading"],
        "supervisor: folders, environment, source archive": at["Training"],
        "sandbox, Python and script mode's program start": int(invoked[1]) / 1000,
        "the script's own Python starts": float(first[1]),
    }
    for (_, before), (step, after) in pairwise(steps.items()):
        yield step, after - before
