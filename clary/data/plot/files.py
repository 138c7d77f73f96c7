"""A figure's forms for web pages: PNG, SVG, an <img> with its text."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Description": _alt(figure, "")})
    return buffer.getvalue()


def svg(figure: Figure, alt: str = "") -> str:
    """The figure as an <svg> element for a web page, with `alt`, else its own text, for screen readers.

    Ids are its own, so that several may stand in one page; text is drawn, so no font is needed.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    markup = buffer.getvalue()
    markup = markup[markup.index("<svg") :].rstrip()
    mark = "p" + hashlib.sha256(markup.encode()).hexdigest()[:10]
    markup = re.sub(r'\bid="', f'id="{mark}-', markup)
    markup = re.sub(r'((?:xlink:href="|url\())#', rf"\g<1>#{mark}-", markup)
    text = html.escape(_alt(figure, alt), quote=True)
    return markup.replace("<svg", f'<svg role="img" aria-label="{text}"', 1)


def image(figure: Figure, alt: str = "", dpi: int = 110) -> str:
    """The figure as an <img> element that needs no other file."""
    data = base64.b64encode(png(figure, dpi)).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{html.escape(_alt(figure, alt), quote=True)}">'


def _alt(figure: Figure, alt: str) -> str:
    return alt or getattr(figure, "alt", "")
