"""The channels of a training job, and the tables in them, checked against the algorithm's manifest."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clary.algorithms.manifest import Algorithm
from clary.formats.decoding import Format, decode, format_of
from clary.formats.media_types import media_type
from clary.formats.table import FormatError, Table, stack
from clary.tasks import configuration, paths
from clary.tasks.failure import ClientError

log = logging.getLogger(__name__)

# Clients bring code and drivers in channels of their own.
OTHER_CHANNELS = ("code", "sm_drivers")


@dataclass(frozen=True, slots=True)
class Channel:
    name: str
    content_type: str | None  # None where the request named none
    mode: str  # File, FastFile or Pipe
    folder: Path

    def sources(self) -> list[Path]:
        """Its files, in order; in Pipe mode the pipe of the first epoch.

        What begins with a dot or an underscore is none of the data: markers left by the programs that wrote it.
        """
        if self.mode == "Pipe":
            return [self.folder.with_name(f"{self.name}_0")]
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(path for path in files if path.name[0] not in "._" and path.stat().st_size > 0)

    def read(self, kind: Format, *, label_size: int = 1, weights: bool = False) -> Table | None:
        """Everything in it; None where there is nothing. Raises FormatError."""
        tables = [
            (source.name, decode(source, kind, label_size=label_size, weights=weights)) for source in self.sources()
        ]
        return stack(tables)


def channels(config: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, Channel]:
    """The channels this job has, by name."""
    if config is None:
        config = configuration.read("inputdataconfig.json")
    return {
        name: Channel(
            name=name,
            content_type=entry.get("ContentType") or None,
            mode=entry.get("TrainingInputMode", "File"),
            folder=paths.data_dir() / name,
        )
        for name, entry in config.items()
    }


def data_channels(given: Mapping[str, Channel], algorithm: Algorithm) -> dict[str, Channel]:
    """Those that the algorithm reads, in its manifest's order. Raises ClientError where a required one is missing."""
    names = [channel.name for channel in algorithm.channels]
    for channel in algorithm.channels:
        if channel.required and channel.name not in given:
            raise ClientError(f"Missing required channel: {channel.name}. The job has {', '.join(given) or 'none'}.")
    for name in set(given).difference(names, OTHER_CHANNELS):
        log.warning("Channel %s is not read: the algorithm knows %s", name, " and ".join(names))
    return {name: given[name] for name in names if name in given}


def format_of_channel(name: str, given: Mapping[str, Channel], algorithm: Algorithm) -> tuple[Format, int]:
    """The format of its files, and how many columns of labels a CSV has. Raises ClientError.

    A channel without a content type has that of the manifest's first channel, or else that of the manifest.
    """
    (declared,) = (channel for channel in algorithm.channels if channel.name == name)
    first = algorithm.channels[0]
    content_type = given[name].content_type or given[first.name].content_type or first.content_types[0]
    if media_type(content_type)[0] not in declared.content_types:
        accepted = ", ".join(declared.content_types)
        raise ClientError(f"Channel {name}: {content_type} is not an accepted ContentType: {accepted}.")
    try:
        return format_of(content_type)
    except FormatError as error:
        raise ClientError(f"Channel {name}: {error}") from None


def read_table(channel: Channel, kind: Format, *, label_size: int = 1, weights: bool = False) -> Table:
    """Everything in a channel. Raises ClientError where there is nothing, or it cannot be read."""
    try:
        table = channel.read(kind, label_size=label_size, weights=weights)
    except FormatError as error:
        raise ClientError(f"Failed to load {kind} data of channel {channel.name}: {error}") from None
    if table is None:
        raise empty_error(channel)
    return table


def empty_error(channel: Channel) -> ClientError:
    """The error for a channel without files."""
    return ClientError(f"No data in {channel.name} channel path {channel.folder}.")
