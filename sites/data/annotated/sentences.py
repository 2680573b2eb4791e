"""Sentences with IOB2 tags from a text in which entities are marked.

IOB2 holds one tag a word, and an entity is words in a row. So, as in Pyysalo's standoff2conll by
default, an entity in several parts is read from its first to its last character, and of entities
that overlap the longest is kept: of equal ones the first in the text, then in the file.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sites.data.annotated.texts import AnnotatedText, Annotation, BadAnnotations, Range
from sites.text.iob2_tags import Span, tags_of
from sites.text.words import word_places

_ENDS = {".", "?", "!"}


@dataclass
class Adaptations:
    """How many annotations could not be kept as they were.

    Args:
        n_joined: Entities in several parts that were read with what is between.
        n_left_out: Entities that overlap a longer or an earlier one.
        n_cut: Words that an entity's edge parts in two.
        n_other: Annotations of layers that are not read.
    """

    n_joined: int = 0
    n_left_out: int = 0
    n_cut: int = 0
    n_other: int = 0


@dataclass(frozen=True)
class Sentence:
    """The words of a sentence, and the tag of each."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]


def tagged_sentences(text: AnnotatedText, adaptations: Adaptations) -> list[Sentence]:
    """Return the sentences of a text, in order; none if it holds no word.

    Words are those of `sites.text.words`, and an entity's edge within a word parts it. A sentence
    ends with a line, and after `.`, `?` or `!` that white space and a capital letter follow. No
    entity is parted.

    Args:
        text: The text; the annotations' places have been checked.
        adaptations: Is added to.

    Raises:
        BadAnnotations: There is only white space at an annotation's place.
    """
    adaptations.n_other += text.n_other
    kept = _kept_annotations(text.annotations, adaptations)
    places = _places_with_edges(word_places(text.text), kept, adaptations)
    spans = _word_spans(kept, places)
    return [
        Sentence(
            tuple(text.text[start:end] for start, end in places[first:last]),
            tags_of(
                (
                    Span(one.kind, one.start - first, one.end - first)
                    for one in spans
                    if first <= one.start < last
                ),
                last - first,
            ),
        )
        for first, last in _sentence_ranges(text.text, places, spans)
    ]


def _kept_annotations(found: Sequence[Annotation], adaptations: Adaptations) -> list[Annotation]:
    """Return the longest annotations that do not overlap, in the order of the text."""
    kept: list[Annotation] = []
    for one in sorted(found, key=lambda one: (one.start - one.end, one.start)):
        position = bisect_left(kept, one.start, key=lambda other: other.start)
        before, after = kept[:position][-1:], kept[position : position + 1]
        if any(other.end > one.start for other in before) or any(
            other.start < one.end for other in after
        ):
            adaptations.n_left_out += 1
            continue
        kept.insert(position, one)
        adaptations.n_joined += len(one.parts) > 1
    return kept


def _places_with_edges(
    places: Sequence[Range], kept: Sequence[Annotation], adaptations: Adaptations
) -> list[Range]:
    """Return the places of words, those within which an entity begins or ends in pieces."""
    edges = sorted({edge for one in kept for edge in (one.start, one.end)})
    pieces: list[Range] = []
    for start, end in places:
        within = edges[bisect_right(edges, start) : bisect_left(edges, end)]
        adaptations.n_cut += bool(within)
        pieces += zip([start, *within], [*within, end], strict=True)
    return pieces


def _word_spans(kept: Sequence[Annotation], places: Sequence[Range]) -> list[Span]:
    starts = [start for start, _ in places]
    spans = []
    for one in kept:
        first, last = bisect_left(starts, one.start), bisect_left(starts, one.end)
        if first == last:
            raise BadAnnotations(f"{one.place}: only white space is marked: remove the annotation")
        spans.append(Span(one.kind, first, last))
    return spans


def _sentence_ranges(text: str, places: Sequence[Range], spans: Sequence[Span]) -> list[Range]:
    """Return the first word of each sentence, and the position after its last word."""
    inside = {word for one in spans for word in range(one.start + 1, one.end)}
    ends = [
        word
        for word in range(1, len(places))
        if word not in inside and _is_end(text, places[word - 1], places[word])
    ]
    bounds = [0, *ends, len(places)] if places else []
    return list(pairwise(bounds))


def _is_end(text: str, before: Range, after: Range) -> bool:
    """Return whether a sentence ends between two neighbouring words."""
    between = text[before[1] : after[0]]
    if "\n" in between or "\r" in between:
        return True
    return text[slice(*before)] in _ENDS and bool(between) and text[after[0]].isupper()
