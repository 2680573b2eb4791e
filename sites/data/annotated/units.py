"""The unit in which a file counts positions, found by the words at each of them.

Some formats do not say what they count, or programs differ. Where all characters are ASCII, it is
the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from sites.data.annotated.texts import (
    AnnotatedText,
    Annotation,
    BadAnnotations,
    require_same_words,
)

_ABOVE_16_BITS = 0x10000


def utf16_length(text: str) -> int:
    """Return how many UTF-16 code units a text has."""
    return sum(map(_utf16_units, text))


def utf16_edges(text: str) -> dict[int, int]:
    """Return the position in characters of each character's edge, by its position in UTF-16."""
    units = accumulate(map(_utf16_units, text), initial=0)
    return {edge: number for number, edge in enumerate(units)}


def _utf16_units(character: str) -> int:
    return 2 if ord(character) >= _ABOVE_16_BITS else 1


# By name, how many units a character has, in the order in which they are tried.
_UNITS: dict[str, Callable[[str], int]] = {
    "characters": lambda _: 1,
    "UTF-16 code units": _utf16_units,
    "bytes of UTF-8": lambda one: len(one.encode("utf-8", "surrogatepass")),
}


def with_character_positions(texts: Sequence[AnnotatedText]) -> list[AnnotatedText]:
    """Return the texts of a file with positions in characters, whatever its unit is.

    Guarantee: it is the first unit, of characters, UTF-16 code units and bytes of UTF-8, in which
    each annotation's words are in the text at its place.

    Raises:
        BadAnnotations: There is no such unit; the message names the first annotation that does not
            fit if characters are counted.
    """
    first: BadAnnotations | None = None
    for width in _UNITS.values():
        try:
            return [_in_characters(text, width) for text in texts]
        except BadAnnotations as error:
            first = first or error
    raise BadAnnotations(
        f"{first}; nor do all annotations fit if {' or '.join(list(_UNITS)[1:])} are counted"
    )


def _in_characters(text: AnnotatedText, width: Callable[[str], int]) -> AnnotatedText:
    edges = list(accumulate(map(width, text.text), initial=0))
    same = edges[-1] == len(text.text)
    position = {edge: number for number, edge in enumerate(edges)}
    found = text.annotations if same else tuple(_moved(one, position) for one in text.annotations)
    for annotation in found:
        require_same_words(annotation, text.text)
    return replace(text, annotations=found)


def _moved(annotation: Annotation, position: Mapping[int, int]) -> Annotation:
    """Return an annotation with positions in characters; those at no character's edge become -1.

    No text has such a position, so it is refused.
    """
    parts = tuple(
        (position.get(start, -1), position.get(end, -1)) for start, end in annotation.parts
    )
    return replace(annotation, parts=parts)
