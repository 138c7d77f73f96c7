"""The channels of a training job: inputdataconfig.json, and the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clary.formats.decoding import Format, decode
from clary.formats.table import Table, stack
from clary.tasks import paths


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
        """Everything in it; None where there is nothing. Raises DataError."""
        tables = [
            (source.name, decode(source, kind, label_size=label_size, weights=weights)) for source in self.sources()
        ]
        return stack(tables)


def channels(config: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, Channel]:
    """The channels this job has, by name."""
    if config is None:
        file = paths.config_dir() / "inputdataconfig.json"
        config = json.loads(file.read_text()) if file.exists() else {}
    return {
        name: Channel(
            name=name,
            content_type=entry.get("ContentType") or None,
            mode=entry.get("TrainingInputMode", "File"),
            folder=paths.data_dir() / name,
        )
        for name, entry in (config or {}).items()
    }
