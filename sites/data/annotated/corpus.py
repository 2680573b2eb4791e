"""Read annotated documents as sentences with tags, as IOB2 files are read."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from privacy.errors import number_of
from sites.data.annotated.formats import READERS, document_files, format_of, side_of
from sites.data.annotated.sentences import Adaptations, tagged_sentences
from sites.data.annotated.texts import AnnotatedText
from sites.data.iob2_files import UnknownSide
from sites.data.source import SIDES, AnnotatedFiles
from sites.data.tables import BrokenFile, EmptyTable, MissingFile, UnknownFormat


def read_annotated(source: AnnotatedFiles, *, tagged: bool = True) -> pd.DataFrame:
    """Return a source's sentences, one per row: `person`, `tokens`, `tags`, `split`, `place`.

    Guarantee: each word of each document is in exactly one row, in order, and what was marked was
    found in the text at its place. `person` is the document. The index counts from 1.

    Args:
        source: What to read.
        tagged: Whether what was marked is read; if not, all words are outside of entities, and
            no entity's edge parts a word.

    Raises:
        MissingFile: There is no such file or directory, or a document lacks one of its files.
        UnknownFormat: It is not clear in which format the documents are.
        BrokenFile: A file is not of its format, or two documents have one name.
        BadAnnotations: A text holds something else at an annotation's place.
        UnknownSide: A file must be named after its side, and is not.
        EmptyTable: There is no word.
    """
    return _read_with_adaptations(source, tagged=tagged)[0]


def notes_on_annotations(source: AnnotatedFiles) -> Iterator[str]:
    """Yield which annotations could not be kept as they were, and how many.

    Raises:
        ConsortiumError: As for `read_annotated`.
    """
    _, found = _read_with_adaptations(source, tagged=True)
    if found.n_joined:
        yield (
            f"{number_of(found.n_joined, 'entity')} in several parts: read from the "
            "first to the last character, with what is between"
        )
    if found.n_left_out:
        yield (
            f"{number_of(found.n_left_out, 'entity')} not used, which overlap a "
            "longer or an earlier one"
        )
    if found.n_cut:
        yield f"{number_of(found.n_cut, 'word')} parted where an entity begins or ends within"
    if found.n_other:
        yield (
            f"{number_of(found.n_other, 'annotation')} of own layers not used: only named entities "
            "are read"
        )


def _read_with_adaptations(
    source: AnnotatedFiles, *, tagged: bool
) -> tuple[pd.DataFrame, Adaptations]:
    adaptations = Adaptations()
    rows: list[dict[str, object]] = [
        {
            "person": text.document,
            "tokens": sentence.tokens,
            "tags": sentence.tags,
            "split": text.side,
            "place": f"{text.place} sentence {number}",
        }
        for text in _read_texts(source, tagged=tagged)
        for number, sentence in enumerate(tagged_sentences(text, adaptations), start=1)
    ]
    if not rows:
        raise EmptyTable(f"{source.path} holds no sentence: a site needs at least one record")
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1)), adaptations


def _read_texts(source: AnnotatedFiles, *, tagged: bool) -> Iterator[AnnotatedText]:
    """Yield the source's texts, and refuse a document that comes a second time."""
    seen: dict[str, str] = {}
    for text in _texts_of_files(source, tagged=tagged):
        if text.part == 0 and text.document in seen:
            raise BrokenFile(
                f"{text.place} is a second document of the name of {seen[text.document]}: rename "
                "or remove one, as the sentences of a document stay together"
            )
        seen[text.document] = text.place
        yield text


def _texts_of_files(source: AnnotatedFiles, *, tagged: bool) -> Iterator[AnnotatedText]:
    if not source.path.exists():
        raise MissingFile(f"there is no file or directory {source.path}: check the path")
    kind = format_of(source.path)
    if kind is None:
        raise UnknownFormat(
            f"{source.path} holds no annotated documents: {', '.join(READERS)} can be read"
        )
    for file in [source.path] if kind == "brat" else document_files(source.path):
        side = _side(file) if source.split else ""
        for text in READERS[kind](file, tagged=tagged):
            yield replace(text, side=side)


def _side(file: Path) -> str:
    side = side_of(file)
    if side is None:
        raise UnknownSide(
            f"{file.name} is not named after its side of the split: name it {', '.join(SIDES)}, or "
            "leave the split to the site"
        )
    return side
