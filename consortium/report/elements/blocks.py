"""What a report is made of: sections of a few kinds of blocks, each drawn by one template macro.

A section says what; `report.html.j2` says how it looks. Text is text: the template escapes it.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["text", "number", "code"]

_MOST_LYING = 6  # columns; more are wider than a page unless their headings stand upright


@dataclass(frozen=True)
class Paragraph:
    """Running text.

    Args:
        text: What it says.
        tone: `plain`, `quiet` for a remark, `warning` for what must not be missed.
    """

    text: str
    tone: Literal["plain", "quiet", "warning"] = "plain"
    block: str = field(default="paragraph", init=False)


@dataclass(frozen=True)
class Points:
    """A list of sentences under a heading."""

    heading: str
    items: tuple[str, ...]
    block: str = field(default="points", init=False)


@dataclass(frozen=True)
class Column:
    """One column of a table: its heading, and how its cells are set."""

    title: str
    kind: Kind = "text"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under headings; the first column names the row.

    Args:
        caption: What the table shows, in a sentence.
        columns: Headings.
        rows: Cells, as many a row as there are columns.
        note: What has to be known to read it.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    block: str = field(default="table", init=False)


@dataclass(frozen=True)
class Shade:
    """A cell of a matrix: its text, and how dark it is, from 0 to 1."""

    text: str
    share: float

    @property
    def step(self) -> int:
        """How dark, in ten steps that the style sheet names."""
        return min(max(round(self.share * 9), 0), 9)


@dataclass(frozen=True, kw_only=True)
class HeatTable:
    """A table of shares, shaded by their size.

    Args:
        caption: What the matrix shows, in a sentence.
        corner: What the rows are.
        columns: Headings.
        rows: A heading and its cells each.
        note: What has to be known to read it.
    """

    caption: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shade, ...]], ...]
    note: str = ""
    block: str = field(default="matrix", init=False)

    @property
    def wide(self) -> bool:
        """Whether its headings must stand upright for it to fit on a page."""
        return len(self.columns) > _MOST_LYING


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Terms and what they are."""

    items: tuple[tuple[str, str], ...]
    kind: Kind = "text"
    block: str = field(default="facts", init=False)


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A picture, drawn for a screen and for a phone.

    Args:
        name: Its file name in `plots/`, without the ending.
        title: What it shows.
        alt: The same in words, for those who do not see it.
        caption: What has to be known to read it.
        wide: SVG for a screen.
        narrow: SVG for a phone.
    """

    name: str
    title: str
    alt: str
    caption: str
    wide: str
    narrow: str
    block: str = field(default="plot", init=False)


@dataclass(frozen=True)
class Pair:
    """Two pictures side by side, one under the other where there is no room."""

    plots: tuple[Plot, ...]
    block: str = field(default="pair", init=False)


Block: TypeAlias = Paragraph | Points | Table | HeatTable | Facts | Plot | Pair


@dataclass(frozen=True, kw_only=True)
class Section:
    """One question a reader has, and its answer.

    Args:
        anchor: Its name in links.
        title: The question.
        short: The title in the list of contents.
        lead: The answer in a sentence or two.
        blocks: The evidence.
    """

    anchor: str
    title: str
    short: str
    lead: str
    blocks: tuple[Block, ...] = ()

    @property
    def plots(self) -> tuple[Plot, ...]:
        """The pictures of the section, in order."""
        found: list[Plot] = []
        for block in self.blocks:
            match block:
                case Plot():
                    found.append(block)
                case Pair(plots=plots):
                    found.extend(plots)
        return tuple(found)


@dataclass(frozen=True)
class KeyFigure:
    """A number that a reader looks for first, and what it is."""

    value: str
    what: str
