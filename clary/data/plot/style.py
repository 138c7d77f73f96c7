"""What all plots share: colours, marks, and text that the font can show."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from clary.data.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from clary.data.plot.figure import NotebookFigure

# Okabe & Ito's palette: distinct to colour-blind eyes too. Marks differ as well, so nothing depends on colour alone.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A7A00", "#000000")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
OTHER_COLOUR = "#6E6E6E"
LINE_COLOUR = "#D55E00"
CAPTION_COLOUR = "#404040"
# A colour map for amounts, and another for what has a middle: both even to the eye, neither red beside green.
AMOUNTS = "cividis"
BALANCE = "RdBu_r"
MAX_TEXT = 32

_FONT = "DejaVu Sans"  # comes with Matplotlib
# Fonts with many scripts that machines may have.
_WIDE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Noto Emoji",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "Arial Unicode MS",
    "Microsoft YaHei",
    "PingFang SC",
    "Unifont",
)


def new_figure(width: float = 6.4, height: float = 4.8) -> NotebookFigure:
    """An empty figure of so many inches. Raises DataError where Matplotlib is not installed."""
    try:
        from clary.data.plot.figure import NotebookFigure
    except ModuleNotFoundError as error:
        raise DataError(f"{error.name} is not installed: run pip install 'clary[data]'") from None
    return NotebookFigure(figsize=(width, height), layout="constrained")


def finish(figure: NotebookFigure, title: str, notes: Iterable[str], alt: str) -> NotebookFigure:
    """Put the title above and the notes below, and describe the plot for those who cannot see it."""
    figure.suptitle(shown_text(title, 90), fontsize=12)
    caption = "; ".join(note for note in notes if note)
    figure.supxlabel(shown_text(caption, 160), fontsize=8, color=CAPTION_COLOUR)
    description = f"{title}. {alt} Drawn from {caption}." if caption else f"{title}. {alt}"
    figure.alt = description.encode("utf-8", "replace").decode()
    _use_fonts(figure, [_FONT, *_wide_fonts()])
    return figure


def label_axes(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(shown_text(x, 48))
    axes.set_ylabel(shown_text(y, 48))
    axes.spines[["top", "right"]].set_visible(False)


def legend(axes: Axes, title: str) -> None:
    """A key where it hides least; its title is the column's name."""
    key = axes.legend(title=shown_text(title), fontsize=8, framealpha=0.8)
    key.get_title().set_fontsize(8)


def key_text(text: object) -> str:
    """The same for a legend, which would leave out what is empty or begins with "_"."""
    label = shown_text(text)
    return f" {label}" if not label or label.startswith("_") else label


def shown_text(text: object, limit: int = MAX_TEXT) -> str:
    """A name or value as it can be drawn: no formulas, one line, cut short in the middle.

    A character that no font of this machine has is written as Python writes it: \\u4eba.
    """
    line = " ".join(str(text).split())
    if len(line) > limit:
        half = (limit - 1) // 2
        line = f"{line[:half]}…{line[-half:]}"
    shown = "".join(letter if _is_drawable(letter) else letter.encode("unicode_escape").decode() for letter in line)
    return shown.replace("$", r"\$")


def _is_drawable(character: str) -> bool:
    code = ord(character)
    return 32 <= code < 127 or (
        character.isprintable() and any(code in _glyphs(font) for font in (_FONT, *_wide_fonts()))
    )


@functools.cache
def _glyphs(font: str) -> frozenset[int]:
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(font_manager.findfont(font, fallback_to_default=False)).get_charmap())


@functools.cache
def _wide_fonts() -> tuple[str, ...]:
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(font for font in _WIDE_FONTS if font in installed)


def _use_fonts(figure: Figure, fonts: list[str]) -> None:
    from matplotlib.text import Text

    for axes in figure.axes:
        axes.tick_params(which="both", labelfontfamily=fonts)
    texts: list[Any] = figure.findobj(Text)
    for text in texts:
        text.set_fontfamily(fonts)
