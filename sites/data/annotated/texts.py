"""Annotated texts: what a person marked in a text, checked against the text at its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sites.data.tables import UnreadableSource, not_utf8_error

# Where a part of a text begins, and the position after its end, in characters (code points).
Range: TypeAlias = tuple[int, int]


class BadAnnotations(UnreadableSource, code="bad-annotations"):
    """What was marked is not in the text at that place; the message says where and quotes none."""


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """What was marked in a text.

    Args:
        kind: The type of entity.
        parts: Where it is, in order; several if there is something between that is not part of it.
        says: The marked words, as the file repeats them beside their place.
        place: Where a person finds the annotation.
    """

    kind: str
    parts: tuple[Range, ...]
    says: str
    place: str

    @property
    def start(self) -> int:
        """Position of the first character."""
        return self.parts[0][0]

    @property
    def end(self) -> int:
        """Position after the last character."""
        return self.parts[-1][1]


@dataclass(frozen=True, kw_only=True)
class AnnotatedText:
    """A document, or a passage of one.

    Args:
        document: Which document it is, or is a passage of.
        text: What was read.
        annotations: What was marked in it.
        place: Where a person finds the text.
        part: Which passage of the document it is, from 0.
        side: On which side of the split it is; empty if the source does not say.
        n_other: How many annotations of layers that are not read stand beside.
    """

    document: str
    text: str
    annotations: tuple[Annotation, ...]
    place: str
    part: int = 0
    side: str = ""
    n_other: int = 0


def require_ranges(annotation: Annotation, length: int) -> None:
    """Check that an annotation's parts are in order, are not empty, and lie within the text.

    Raises:
        BadAnnotations: They do not.
    """
    edge = 0
    for start, end in annotation.parts:
        if not edge <= start < end <= length:
            raise BadAnnotations(
                f"{annotation.place}: the range {start} to {end} is empty, not after the range "
                f"before it, or not within the text of {length} characters"
            )
        edge = end
    if not annotation.kind or any(one.isspace() for one in annotation.kind):
        raise BadAnnotations(
            f"{annotation.place}: a type of entity must be a name without spaces: rename it"
        )


def require_same_words(annotation: Annotation, text: str) -> None:
    """Check that a text holds at an annotation's place what the annotation says.

    The words of several parts are joined by a space, or are all from the first to the last. Line
    feeds count as spaces, as most formats cannot write one.

    Raises:
        BadAnnotations: It holds something else.
    """
    require_ranges(annotation, len(text))
    joined = " ".join(text[start:end] for start, end in annotation.parts)
    whole = text[annotation.start : annotation.end]
    if _on_one_line(annotation.says) not in {_on_one_line(joined), _on_one_line(whole)}:
        raise BadAnnotations(
            f"{annotation.place}: the text at {annotation.start} to {annotation.end} is not what "
            "the annotation says: positions count characters (Unicode code points) from 0, so "
            "the text was changed after it was annotated, or another unit was counted"
        )


def _on_one_line(words: str) -> str:
    return words.replace("\r", " ").replace("\n", " ")


def read_characters(file: Path) -> str:
    """Return the text of a file with its line ends, so that positions count as they are written.

    A byte order mark counts as one character, and is returned as a space.

    Raises:
        BrokenFile: It is not UTF-8.
    """
    try:
        text = file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise not_utf8_error(file) from error
    if "\0" in text:
        raise not_utf8_error(file)
    return f" {text[1:]}" if text.startswith("\ufeff") else text


def lines_of(file: Path) -> Sequence[str]:
    """Return the lines of a file, which line feeds end, without their ends.

    Raises:
        BrokenFile: It is not UTF-8.
    """
    text = read_characters(file)
    return [line.removesuffix("\r") for line in text.split("\n")]
