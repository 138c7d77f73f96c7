"""A figure that notebooks show by themselves."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from clary.data.plot.files import png

__all__ = ["NotebookFigure", "png"]


class NotebookFigure(Figure):
    """A Matplotlib Figure that belongs to no window.

    alt  a description, for those who cannot see it
    """

    alt: str = ""

    def _repr_png_(self) -> bytes:
        return png(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"image/png": png(self), "text/plain": self.alt or repr(self)}
