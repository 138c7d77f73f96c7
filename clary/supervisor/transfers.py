"""What is brought to the hosts before their programs start, and taken from them when they have outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clary.compute.plan import Plan, Platform
from clary.core.tasks import Input, Output, Task
from clary.supervisor.folders import HostFolder, inside
from clary.supervisor.outcome import CannotRun, Outcome, failure_reason

if TYPE_CHECKING:
    from clary.artifacts.base import ObjectStore
    from clary.artifacts.uploaded_files import UploadedFiles


# Copying less than this takes no time worth saving.
IN_PLACE_FROM_BYTES = 64 << 20


def large_in_place(task: Task, plan: Plan) -> Task:
    """The task with its large inputs read-only, so that the embedded S3's files are linked, not copied.

    Small ones stay writable: programs unpack, chmod and write beside them, as File mode lets them. Raises CannotRun.
    """
    if not (plan.platform.s3_folder and task.inputs):
        return task
    from clary.artifacts import channels

    store = open_store(plan.platform)

    def with_access(item: Input) -> Input:
        if item.kind == "archive" or not item.writable or _is_shared(item, task):
            return item
        try:
            size = sum(found.object.size for found in channels.selected(store, item))
        except Exception as error:
            raise CannotRun(failure_reason(error, f"the objects of {item.uri} were listed")) from error
        return replace(item, writable=size < IN_PLACE_FROM_BYTES)

    return replace(task, inputs=tuple(with_access(item) for item in task.inputs))


def _is_shared(item: Input, task: Task) -> bool:
    """Whether another input or an output lies in the same folder, above or below it: then it has to be writable."""
    others = [*(other.path for other in task.inputs if other is not item), *(output.path for output in task.outputs)]
    own = inside(item.path)
    return any(own.is_relative_to(inside(path)) or inside(path).is_relative_to(own) for path in others)


def stage(task: Task, plan: Plan, folders: Sequence[HostFolder], in_place: bool, cancelled: Callable[[], bool]) -> None:
    """Bring every input to every host. Raises CannotRun, its text FailureReason.

    in_place   the program cannot write to read-only inputs, so these may be the stored files themselves
    """
    if not task.inputs:
        return
    from clary.artifacts import channels

    store = open_store(plan.platform)
    for index, folder in enumerate(folders):
        for item in task.inputs:
            if cancelled():
                return
            target = folder.ml / inside(item.path)
            try:
                # Read-only inputs are linked to the stored files, which is only right where the program cannot write.
                safe = item if in_place else replace(item, writable=True)
                channels.stage(store, safe, target, index, len(folders), not safe.writable, cancelled)
            except Exception as error:
                if cancelled():
                    return
                raise CannotRun(failure_reason(error, f"{item.uri} was staged to /opt/ml/{item.path}")) from error


def outputs_to_upload(task: Task, outcome: Outcome) -> list[Output]:
    """The outputs to upload: a program that failed has no model; a program that was stopped keeps what it wrote."""
    if not outcome.ran:
        return []
    return [output for output in task.outputs if output.always or not outcome.failure]


def collect(
    task: Task,
    plan: Plan,
    folders: Sequence[HostFolder],
    outcome: Outcome,
    uploaded_files: Mapping[Output, UploadedFiles],
) -> tuple[dict[str, str], str]:
    """Upload outputs; the URIs of those that are wholly in S3, and why others are not.

    uploaded_files   what was uploaded while the program ran
    """
    uploaded: dict[str, str] = {}
    failure = ""
    for output in outputs_to_upload(task, outcome):
        try:
            directories = [_real_directory(folder, output) for folder in folders]
            present = [directory for directory in directories if directory is not None]
            if uri := _upload(plan.platform, output, present, uploaded_files.get(output)):
                uploaded[output.path] = uri
        except Exception as error:
            failure = failure or failure_reason(error, f"/opt/ml/{output.path} was uploaded to {output.uri}")
    return uploaded, failure


def _upload(
    platform: Platform, output: Output, directories: Sequence[Path], uploaded_files: UploadedFiles | None
) -> str:
    from clary.artifacts import archives

    # Never cancelled: also a job that is stopped keeps its artefacts.
    return archives.collect(open_store(platform), output, directories, lambda: False, uploaded_files)


def _real_directory(folder: HostFolder, output: Output) -> Path | None:
    """The output's directory; None where the program removed it. Raises CannotRun where it put a link in its place."""
    directory = folder.ml / inside(output.path)
    if not (directory.is_symlink() or directory.exists()):
        return None
    if directory.resolve() != folder.ml.resolve() / inside(output.path) or not directory.is_dir():
        raise CannotRun(f"ClientError: /opt/ml/{output.path} is not a directory, or lies behind a symbolic link")
    return directory


def open_store(platform: Platform) -> ObjectStore:
    """The S3 that inputs come from and outputs go to."""
    from clary.artifacts.base import S3Access
    from clary.artifacts.stores import open_store

    return open_store(
        S3Access(
            endpoint_url=platform.s3_endpoint_url,
            region=platform.region,
            access_key_id=platform.s3_access_key_id or platform.access_key_id,
            secret_access_key=platform.s3_secret_access_key or platform.secret_access_key,
            folder=Path(platform.s3_folder) if platform.s3_folder else None,
        )
    )
