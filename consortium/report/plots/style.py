"""Plots as SVG text in one style and two widths, without matplotlib's global state.

Guarantee: the same data give the same bytes with the same version of matplotlib. Text stays text,
in the reader's own fonts. Colour-blind readers can tell the colours apart (Okabe and Ito 2008), and
no meaning depends on colour alone.
"""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from consortium.report.elements.blocks import Plot

WIDE, HALF, NARROW = 880, 424, 358  # pixels

INK = "#1b1f24"
QUIET = "#57606a"
RULE = "#d0d7de"
BLUE = "#0064a8"
GREY = "#6e7781"
ORANGE = "#b85000"

LETTER = 13 * 0.75  # points

Role: TypeAlias = Literal["together", "one", "all"]
COLOURS: dict[Role, str] = {"together": BLUE, "one": GREY, "all": ORANGE}

Draw: TypeAlias = Callable[[int], Figure]

_FONTS = '-apple-system, "Segoe UI", "Noto Sans", "Helvetica Neue", Arial, sans-serif'
_STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": LETTER,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.labelsize": LETTER,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.axisbelow": True,
    "axes.titley": 1.0,  # where it is found to be in any case, after all else was laid out twice
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "xtick.labelsize": 0.92 * LETTER,
    "ytick.labelsize": 0.92 * LETTER,
    "grid.color": "#eaeef2",
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text, not paths: smaller, and a screen reader can read it
    "svg.hashsalt": "consortium",  # ids are otherwise random, and the bytes would differ
    "text.parse_math": False,  # a dollar sign is not mathematics
}


def full_width_plot(name: str, draw: Draw, *, title: str, alt: str, caption: str = "") -> Plot:
    """Return a plot over the whole width of the page.

    Args:
        name: Its file name, without the extension.
        draw: Draws it with a given width in pixels.
        title: What it shows.
        alt: The same in words.
        caption: What a reader must know to read it.
    """
    wide, narrow = _rendered_svg(draw, WIDE), _rendered_svg(draw, NARROW)
    return Plot(name=name, title=title, alt=alt, caption=caption, wide=wide, narrow=narrow)


def half_width_plot(name: str, draw: Draw, *, title: str, alt: str, caption: str = "") -> Plot:
    """Return a plot over half the width of the page, with a version for a phone."""
    wide, narrow = _rendered_svg(draw, HALF), _rendered_svg(draw, NARROW)
    return Plot(name=name, title=title, alt=alt, caption=caption, wide=wide, narrow=narrow)


def write_png(draw: Draw, path: Path) -> None:
    """Write a plot over the whole width of a page as PNG, on white."""
    with mpl.rc_context(_STYLE):
        draw(WIDE).savefig(path, format="png", dpi=192, facecolor="white")


def empty_figure(width: int, height: float) -> Figure:
    """Return an empty figure with this size in pixels."""
    return Figure(figsize=(width / 96, height / 96))


def add_axes(figure: Figure, *, left: float, right: float, top: float, bottom: float) -> Axes:
    """Add axes with these margins in pixels."""
    width, height = 96 * figure.get_figwidth(), 96 * figure.get_figheight()
    return figure.add_axes(
        (
            left / width,
            bottom / height,
            (width - left - right) / width,
            (height - top - bottom) / height,
        )
    )


def strip_axes(axes: Axes) -> None:
    """Remove all axes except the horizontal one, and draw its grid."""
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="both", length=0)
    axes.tick_params(axis="y", labelleft=False)


def rule_axes(axes: Axes, *, across: str, up: str) -> None:
    """Draw the grid of both axes without a frame, and label the axes."""
    axes.grid(visible=True)
    axes.tick_params(length=0, pad=5)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xlabel(across)
    axes.set_title(up, loc="left", color=QUIET, size=LETTER)


def group_thousands(axis: Axis) -> None:
    """Write the numbers along an axis with thousands separators."""
    axis.set_major_formatter(lambda value, _place: f"{value:,.10g}".replace("-", "\N{MINUS SIGN}"))


def truncated_name(name: str, most: int) -> str:
    """Return a name cut to at most this many letters, with an ellipsis if it was cut."""
    return name if len(name) <= most else f"{name[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def _rendered_svg(draw: Draw, width: int) -> str:
    file = io.StringIO()
    with mpl.rc_context(_STYLE):
        draw(width).savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _minified_svg(file.getvalue())


def _minified_svg(svg: str) -> str:
    """Remove the document type and the metadata, and use the reader's fonts."""
    body = svg[svg.index("<svg") :]
    without = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    return re.sub("[ \n]+", " ", without).replace("'DejaVu Sans'", _FONTS.replace('"', "'"))
