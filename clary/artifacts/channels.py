"""Objects brought to a task: which, under which names, and as copies or links.

    an Input ──selected──> [(object, where below the target)] ──stage──> files
Reference: S3DataSource, ShuffleConfig (SageMaker API Reference); the order of objects is what Pipe mode reads in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clary.artifacts import files
from clary.artifacts.archives import unpack
from clary.artifacts.base import ObjectStore, S3Uri, Stored, TransferCancelled, never
from clary.core.errors import ObjectStoreError
from clary.core.tasks import Input

MANIFEST_BYTES = 256 << 20
DOWNLOADS = 8  # objects fetched at once from an S3 elsewhere
_NAME_BYTES = 255
_PATH_BYTES = 3072  # leaves a kilobyte of PATH_MAX for the folder they lie in


@dataclass(frozen=True, slots=True)
class Selected:
    """One object of an input. `name` is its path below the input's directory."""

    object: Stored
    uri: S3Uri
    name: str


def first_object(store: ObjectStore, uri: S3Uri) -> Stored | None:
    """Any object whose key starts with the URI's, for the check at the call; None where there is none."""
    return next(iter(store.list(uri)), None)


def selected(store: ObjectStore, source: Input, host_index: int = 0, host_count: int = 1) -> list[Selected]:
    """The objects of a host, in the order in which it gets them.

    Raises  ObjectStoreError where there are none at all (unless the input is optional), or one of them cannot be a file
    """
    uri = _parsed(source.uri)
    found = list(_in_manifest(store, uri) if source.kind == "manifest" else _below(store, uri))
    if not found and not source.optional:
        raise ObjectStoreError(
            f'No S3 objects found under S3 URL "{source.uri}". Please ensure that the bucket exists, '
            "and that objects exist under that S3 prefix."
        )
    found = _distinct(item for item in found if not item.uri.key.endswith("/"))
    if source.shuffle_seed is not None:
        found.sort(key=lambda item: _shuffled(source.shuffle_seed, item.uri))
    return found[host_index::host_count] if source.sharded else found


def stage(
    store: ObjectStore,
    source: Input,
    target: Path,
    host_index: int = 0,
    host_count: int = 1,
    in_place: bool = False,
    cancelled: Callable[[], bool] = never,
) -> None:
    """Bring an input to a host's directory. Doing it again gives the same files.

    in_place  the caller makes sure that the program cannot write there, whatever the input allows: objects of this
              machine are linked instead of copied. What a link leads to never changes: an object is replaced whole.
    Raises    ObjectStoreError, its text fit for a FailureReason; TransferCancelled where `cancelled` is true
    """
    with files.as_store_error(f"Could not make {target}"):
        target.mkdir(parents=True, exist_ok=True)
    if source.kind == "archive":
        _stage_archive(store, source, target, cancelled)
    else:
        items = selected(store, source, host_index, host_count)
        _stage_objects(store, items, target, in_place or not source.writable, cancelled)


def _stage_objects(
    store: ObjectStore, items: Sequence[Selected], target: Path, link: bool, cancelled: Callable[[], bool]
) -> None:
    _make_folders(items, target)
    for item in items:
        if item.object.path:
            _check(cancelled)
            if not (link and _linked(item.object.path, target / item.name)):
                store.download(item.uri, target / item.name, cancelled)
    _download_all(store, [item for item in items if not item.object.path], target, cancelled)


def _parsed(uri: str) -> S3Uri:
    try:
        return S3Uri.parse(uri)
    except ValueError as error:
        raise ObjectStoreError(str(error)) from error


def _below(store: ObjectStore, prefix: S3Uri) -> Iterator[Selected]:
    for item in store.list(prefix):
        relative = item.key.removeprefix(prefix.key).removeprefix("/")
        yield Selected(item, S3Uri(prefix.bucket, item.key), relative or item.key.rpartition("/")[2])


def _in_manifest(store: ObjectStore, manifest: S3Uri) -> Iterator[Selected]:
    """`[{"prefix": "s3://b/p/"}, "rel/a.csv", …]`: object = prefix + entry, local path = entry."""
    prefix, entries = _read_manifest(store, manifest)
    base = _parsed(prefix)
    for entry in entries:
        uri = _parsed(prefix + entry)
        if not (found := store.find(uri)) and not entry.endswith("/"):
            raise ObjectStoreError(f'The manifest {manifest} names "{entry}", but there is no object {uri}')
        yield Selected(found or Stored(uri.key, 0), uri, uri.key.removeprefix(base.key).removeprefix("/"))


def _read_manifest(store: ObjectStore, manifest: S3Uri) -> tuple[str, Sequence[str]]:
    if (found := store.find(manifest)) is None:
        raise ObjectStoreError(f"There is no manifest file {manifest}")
    if found.size > MANIFEST_BYTES:
        raise ObjectStoreError(f"The manifest {manifest} is larger than {MANIFEST_BYTES >> 20} MiB")
    try:
        content = json.loads(store.read(manifest))
    except (ValueError, RecursionError) as error:
        raise ObjectStoreError(f"The manifest {manifest} is not valid JSON: {error}") from error
    match content:
        case [{"prefix": str(prefix)}, *entries] if all(isinstance(entry, str) for entry in entries):
            return prefix, entries
    raise ObjectStoreError(
        f'The manifest {manifest} must be a list [{{"prefix": "s3://…"}}, "path of an object after the prefix", …]'
    )


def _shuffled(seed: int | None, uri: S3Uri) -> bytes:
    """The sort key under a seed: a hash, so that no version of Python or Clary changes the order."""
    import hashlib

    return hashlib.sha256(f"{seed}\n{uri}".encode()).digest()


def _distinct(items: Iterator[Selected]) -> list[Selected]:
    """The items, each path once. Raises ObjectStoreError for an object that cannot be a file, or not beside another."""
    by_name: dict[str, Selected] = {}
    folders: dict[str, Selected] = {}
    for item in items:
        if fault := _fault(item.name):
            raise ObjectStoreError(f'The object "{item.uri}" cannot be a file of the input: {fault}; rename it')
        if by_name.setdefault(item.name, item).uri != item.uri:
            raise _clash(by_name[item.name], item)
        parent = item.name.rpartition("/")[0]
        while parent and parent not in folders:
            folders[parent] = item
            parent = parent.rpartition("/")[0]
    for name in by_name.keys() & folders.keys():
        raise _clash(by_name[name], folders[name])
    return list(by_name.values())


def _clash(first: Selected, second: Selected) -> ObjectStoreError:
    return ObjectStoreError(
        f'The objects "{first.uri}" and "{second.uri}" would need the same path, '
        f'"{first.name}", below the input\'s directory; rename one of them, or choose a prefix that ends in "/"'
    )


def _fault(name: str) -> str:
    """Why an object cannot be a file at this path; "" where it can."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return 'its path has a part that is empty, "." or ".."'
    if "\0" in name:
        return "its path holds a NUL character"
    if any(len(part.encode()) > _NAME_BYTES for part in parts) or len(name.encode()) > _PATH_BYTES:
        return f"a part of its path is longer than {_NAME_BYTES} bytes, or all of it than {_PATH_BYTES}"
    return ""


def _make_folders(items: Sequence[Selected], target: Path) -> None:
    top = target.resolve()
    for parent in {(target / item.name).parent for item in items}:
        with files.as_store_error(f"Could not make {parent}"):
            parent.mkdir(parents=True, exist_ok=True)
            if not parent.resolve().is_relative_to(top):
                raise ObjectStoreError(f"Could not stage into {parent}: it is a link that leads out of the input")


def _linked(stored: Path, to: Path) -> bool:
    """Whether the file could be linked: not from another file system, nor where the kernel guards others' files."""
    try:
        to.unlink(missing_ok=True)
        os.link(stored, to, follow_symlinks=False)
    except OSError:
        return False
    return True


def _download_all(store: ObjectStore, items: Sequence[Selected], target: Path, cancelled: Callable[[], bool]) -> None:
    """Several at a time. The first failure cancels the others."""
    if not items:
        return
    # Imported here: what lies on this machine needs no threads, and a job waits for every import.
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

    failed = False
    stop = lambda: failed or cancelled()  # noqa: E731 - asked by every thread
    with ThreadPoolExecutor(DOWNLOADS, "download") as pool:
        for start in range(0, len(items), DOWNLOADS * 16):  # bounded, so that a million objects are no million futures
            batch = items[start : start + DOWNLOADS * 16]
            futures = [pool.submit(store.download, item.uri, target / item.name, stop) for item in batch]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = any(future.exception() for future in done)
            if failed:
                wait(futures)
                _raise_first([error for future in futures if (error := future.exception())])
            _check(cancelled)


def _raise_first(errors: Sequence[BaseException]) -> None:
    """The failure itself rather than the transfers it cancelled."""
    raise next((error for error in errors if not isinstance(error, TransferCancelled)), errors[0])


def _stage_archive(store: ObjectStore, source: Input, target: Path, cancelled: Callable[[], bool]) -> None:
    uri = _parsed(source.uri)
    if (found := store.find(uri)) is None:
        if source.optional:
            return
        raise ObjectStoreError(f"Could not find model data at {source.uri}: there is no such object")
    if found.path:
        unpack(found.path, target, str(uri), cancelled=cancelled)
        return
    # Always the same name: what a kill leaves is replaced and removed by the next try.
    archive = target.with_name(f".{target.name}.download")
    try:
        store.download(uri, archive, cancelled)
        unpack(archive, target, str(uri), cancelled=cancelled)
    finally:
        archive.unlink(missing_ok=True)


def _check(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise TransferCancelled("Staging was cancelled")
