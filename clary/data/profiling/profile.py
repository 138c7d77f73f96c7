"""A profile: what it holds, and the forms in which it is shown."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.data.errors import DataError
from clary.data.profiling.describe import describe
from clary.data.profiling.profile_data import ProfileData
from clary.data.profiling.terminal import summary
from clary.data.profiling.to_json import to_json

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Profile(ProfileData):
    """What a table holds. Printed, it is a summary; in a notebook, the report."""

    def describe(self, include: str | None = None) -> pd.DataFrame:
        """As pandas' DataFrame.describe(), or describe(include="all")."""
        return describe(self.columns, include)

    def to_dict(self) -> dict[str, Any]:
        """All figures as JSON has them: NaN and infinity as null, times as ISO 8601."""
        return to_json(self)

    def to_json(self, indent: int | None = None) -> str:
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False, ensure_ascii=False)

    def save_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the report: one file, which needs nothing else. Raises DataError where it cannot be written."""
        from clary.data.profiling.report import report

        text = report(self)
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise DataError(f"the report cannot be written to {os.fspath(path)!r}: {error.strerror}") from None
        return Path(path)

    def to_html(self) -> str:
        """The report, as one page that needs nothing else."""
        from clary.data.profiling.report import report

        return report(self)

    def _repr_html_(self) -> str:
        """In a notebook: the report in a frame of its own, so that its style touches nothing else."""
        from html import escape

        page = escape(self.to_html(), quote=True)
        return (
            f'<iframe title="Profile" srcdoc="{page}" style="width:100%;height:720px;border:1px solid #8888"></iframe>'
        )

    def __str__(self) -> str:
        return summary(self)
