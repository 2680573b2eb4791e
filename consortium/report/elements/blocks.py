"""The blocks of a report: a few kinds, each rendered by one template macro.

Blocks hold content; `report_blocks.html.j2` decides how it looks. Text is plain text, which the
template escapes.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["text", "number", "code"]

_MOST_HORIZONTAL = 6  # columns; with more, horizontal headings are wider than a page
_MOST_ON_A_PHONE = 2  # columns; more are wider than a phone
_MOST_ON_A_SCREEN = 14  # columns of shares; more are wider than the text


@dataclass(frozen=True)
class Paragraph:
    """Running text.

    Args:
        text: The text.
        tone: `plain`; `quiet` for a remark; `warning` for what a reader must not miss.
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
    """One column of a table: its heading and the kind of its cells."""

    title: str
    kind: Kind = "text"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under headings; the first column names the row.

    Args:
        caption: What the table shows, in a sentence.
        columns: The columns.
        rows: The cells; each row has as many as there are columns.
        note: What a reader must know to read it.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    block: str = field(default="table", init=False)

    @property
    def becomes_cards(self) -> bool:
        """Whether each row is a card on a phone, where its columns would be cut off."""
        return len(self.columns) > _MOST_ON_A_PHONE


@dataclass(frozen=True)
class Shade:
    """A cell of a heat table: its text, and its share from 0 (light) to 1 (dark)."""

    text: str
    share: float

    @property
    def step(self) -> int:
        """The darkness in ten steps, 0 to 9, which the style sheet defines."""
        return min(max(round(self.share * 9), 0), 9)


@dataclass(frozen=True, kw_only=True)
class HeatTable:
    """A table of shares, each cell shaded by its share.

    Args:
        caption: What the table shows, in a sentence.
        corner: The heading of the row headings.
        columns: The column headings.
        rows: For each row, its heading and its cells.
        note: What a reader must know to read it.
    """

    caption: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shade, ...]], ...]
    note: str = ""
    block: str = field(default="matrix", init=False)

    @property
    def wide(self) -> bool:
        """Whether its column headings must be vertical for it to fit on a page."""
        return len(self.columns) > _MOST_HORIZONTAL

    @property
    def goes_sideways(self) -> bool:
        """Whether readers on a phone are told to move it sideways."""
        return len(self.columns) > _MOST_ON_A_PHONE

    @property
    def beyond_a_screen(self) -> bool:
        """Whether readers at a large screen are told so, too."""
        return len(self.columns) > _MOST_ON_A_SCREEN


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A list of terms with their values."""

    items: tuple[tuple[str, str], ...]
    kind: Kind = "text"
    block: str = field(default="facts", init=False)


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A plot, drawn for a screen and for a phone.

    Args:
        name: Its file name in `plots/`, without the extension.
        title: What it shows.
        alt: The same in words, for readers who cannot see it.
        caption: What a reader must know to read it.
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
    """Two plots side by side, or one below the other on a narrow page."""

    plots: tuple[Plot, ...]
    block: str = field(default="pair", init=False)


Block: TypeAlias = Paragraph | Points | Table | HeatTable | Facts | Plot | Pair


@dataclass(frozen=True, kw_only=True)
class Section:
    """One question of a reader, and its answer.

    Args:
        anchor: Its anchor in links.
        title: The question.
        short: Its title in the table of contents.
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
        """The plots of the section, in order."""
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
    """A number that a reader looks for first, and its label."""

    value: str
    what: str
