"""Read IOB2 files: sentences with one tag per token (Ramshaw and Marcus 1995, cmp-lg/9505040)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pandas as pd

from privacy.errors import ConsortiumError
from sites.data.annotated.formats import format_of, split_by_files
from sites.data.reading import AS_DECLARED, BadReading
from sites.data.source import SIDES, AnnotatedFiles, DataSource, IobFiles, TableFile, TextFolder
from sites.data.tables import (
    BrokenFile,
    EmptyTable,
    MissingFile,
    UnknownFormat,
    UnreadableSource,
    not_utf8_error,
)
from sites.text.iob2_tags import OUTSIDE, first_break

ENDINGS = (".iob", ".iob2", ".conll", ".bio", ".tsv", ".txt")
DOCUMENT_MARK = "-DOCSTART-"
BLOCK = 10
_SHOWN = 5
_NUMBERED_BETWEEN = re.compile(r"[0-9]+[-.][0-9]+")


class BrokenIob(UnreadableSource, code="broken-iob"):
    """Tags of a file are not IOB2; the message names the first places."""


class UnknownSide(ConsortiumError, ValueError, code="unknown-side"):
    """A file must be named after its side of the split, such as `train`, and is not."""


@dataclass(frozen=True)
class _Sentence:
    line: int
    document: int
    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    n_fields: int  # of each of its lines


def read_iob(source: IobFiles, *, tagged: bool = True) -> pd.DataFrame:
    """Return a source's sentences, one per row: `person`, `tokens`, `tags`, `split`, `place`.

    Guarantee: each token of each file is in exactly one row, in order. `person` is the document:
    it is delimited by `-DOCSTART-` lines, or else it is the file. But a file without such lines
    that is named after its side, or is the only one, is divided into blocks of ten neighbouring
    sentences. `place` is the file and the line of the first token; the index counts from 1.

    Args:
        source: What to read.
        tagged: Whether each line ends with a tag; if not, only tokens are read.

    Raises:
        MissingFile: There is no such file or directory.
        UnknownFormat: No file has an ending that can be read.
        BrokenFile: A file is not UTF-8, a line has no tag, lines differ in their number of fields,
            the first field is the number of the word, or two files have one name.
        BrokenIob: A tag is not IOB2: I after O, I after another type, or not a tag at all.
        UnknownSide: A file must be named after its side, and is not.
        EmptyTable: There is no sentence.
    """
    rows: list[dict[str, object]] = []
    files = _files(source)
    _refuse_shared_stems(files)
    for file in files:
        side = _side(file) if source.split else ""
        # Such a file holds many documents without saying where each begins. As one document, it
        # would be on one side of the split as a whole, and a single unit of privacy.
        whole = bool(side) or len(files) == 1
        sentences = list(_parse_sentences(file, tagged=tagged))
        _refuse_numbered_words(sentences, file, tagged=tagged)
        if tagged:
            _require_iob2(sentences, file)
        marked = bool(sentences) and sentences[-1].document > 0
        for number, sentence in enumerate(sentences):
            rows.append(
                {
                    "person": _document_id(file.stem, sentence, number, marked=marked, whole=whole),
                    "tokens": sentence.tokens,
                    "tags": sentence.tags,
                    "split": side,
                    "place": f"{file.name} line {sentence.line}",
                }
            )
    if not rows:
        raise EmptyTable(f"{source.path} holds no sentence: a site needs at least one record")
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1))


def sentence_source(source: DataSource) -> DataSource:
    """Return the source as files of sentences if it holds such, else the source itself.

    They are annotated documents by their content, or IOB2 files by their endings. The files'
    split is kept if all of them are named after their side.

    Raises:
        BadReading: Something was said of the columns, which such files do not have.
        UnknownFormat: It is not clear in which format documents are annotated.
    """
    match source:
        case TableFile(path=path) | TextFolder(path=path) if format_of(path):
            _refuse_words(source)
            return AnnotatedFiles(path=path, split=split_by_files(path))
        case TableFile(path=path) if path.suffix in ENDINGS:
            _refuse_words(source)
            return IobFiles(path=path)
        case TextFolder(path=path):
            _refuse_words(source)
            stems = {file.stem.lower() for file in path.glob("*") if file.suffix in ENDINGS}
            return IobFiles(path=path, split="file" if stems and stems <= SIDES.keys() else None)
        case _:
            return source


def _refuse_words(source: DataSource) -> None:
    if source.reading != AS_DECLARED:
        raise BadReading(
            "files of sentences have no columns and no numbers: leave out words such as "
            "column:OURS=THEIRS"
        )


def _files(source: IobFiles) -> list[Path]:
    if source.path.is_file():
        return [source.path]
    if not source.path.is_dir():
        raise MissingFile(f"there is no file or directory {source.path}: check the path")
    files = sorted(item for item in source.path.iterdir() if item.suffix in ENDINGS)
    if not files:
        raise UnknownFormat(f"no file in {source.path} ends in {', '.join(ENDINGS)}")
    return files


def _refuse_shared_stems(files: Sequence[Path]) -> None:
    """Refuse files whose names differ in their ending only, as a document is named without it."""
    stems = [file.stem for file in files]
    shared = sorted({stem for stem in stems if stems.count(stem) > 1})
    if shared:
        raise BrokenFile(
            f"several files are called {shared[:_SHOWN]}, with other endings: rename or remove "
            "them, as a document is named after its file"
        )


def _side(file: Path) -> str:
    side = SIDES.get(file.stem.lower())
    if side is None:
        raise UnknownSide(
            f"{file.name} is not named after its side of the split: name it {', '.join(SIDES)}, or "
            "leave the split to the site"
        )
    return side


def _document_id(stem: str, sentence: _Sentence, number: int, *, marked: bool, whole: bool) -> str:
    if marked:
        return f"{stem}#{sentence.document}"
    return f"{stem}/block-{number // BLOCK + 1}" if whole else stem


def _parse_sentences(file: Path, *, tagged: bool) -> Iterator[_Sentence]:
    document, start = 0, 0  # `start` is the line of the sentence's first token
    n_fields = 0  # of the file's first token
    tokens: list[str] = []
    tags: list[str] = []
    # The empty line at the end closes a last sentence that no empty line follows.
    for number, line in enumerate([*_read_lines(file), ""], start=1):
        fields = line.split("\t") if "\t" in line else line.split(" ")
        begins = fields[0] == DOCUMENT_MARK
        if (begins or not line.strip()) and tokens:
            yield _Sentence(start, document, tuple(tokens), tuple(tags), n_fields)
            tokens, tags = [], []
        if begins:
            document += 1
        elif line.strip():
            n_fields = n_fields or len(fields)
            if tagged:
                _require_fields(len(fields), n_fields, f"{file.name} line {number}")
            start = start if tokens else number
            tokens.append(fields[0])
            tags.append(fields[-1] if tagged else OUTSIDE)


def _require_fields(found: int, needed: int, place: str) -> None:
    """Refuse a line whose last field is not its tag."""
    if found < 2:
        raise BrokenFile(f"{place} has no tag: write TOKEN, tab, TAG")
    if found != needed:
        raise BrokenFile(
            f"{place} has {found} fields, and the lines before it have {needed}: the last field of "
            "each line must be its tag; if the line was cut off, export the file again"
        )


def _refuse_numbered_words(sentences: Sequence[_Sentence], file: Path, *, tagged: bool) -> None:
    """Refuse a file in which the words of each sentence are numbered, before the words.

    From 0, from 1 or on from the last sentence; ranges (1-2) and places between words (1.1) count.
    """
    has_words_beside = bool(sentences) and sentences[0].n_fields > (2 if tagged else 1)
    several = sum(len(one.tokens) for one in sentences) > 1
    if has_words_beside and several and all(_are_numbers(one.tokens) for one in sentences):
        raise BrokenFile(
            f"the lines of {file.name} begin with the number of the word, from line "
            f"{sentences[0].line} on, where the word is needed: remove that column, so that a line "
            "is TOKEN, tab, TAG",
            sentences=len(sentences),
        )


def _are_numbers(tokens: Sequence[str]) -> bool:
    numbers = [int(token) for token in tokens if token.isascii() and token.isdecimal()]
    rest = [token for token in tokens if not (token.isascii() and token.isdecimal())]
    rising = all(after == before + 1 for before, after in pairwise(numbers))
    return bool(numbers) and rising and all(map(_NUMBERED_BETWEEN.fullmatch, rest))


def _read_lines(file: Path) -> Sequence[str]:
    try:
        content = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8_error(file) from error
    # Only line feeds end a line: other Unicode line ends may be part of a token.
    lines = [line.removesuffix("\r") for line in content.split("\n")]
    for number, line in enumerate(lines, start=1):
        if "\r" in line or "\0" in line:
            raise BrokenFile(
                f"{file.name} line {number} holds a carriage return or a NUL character: save it as "
                "UTF-8 with line feeds at the ends of lines"
            )
    return lines


def _require_iob2(sentences: Sequence[_Sentence], file: Path) -> None:
    broken = []
    for sentence in sentences:
        found = first_break(sentence.tags)
        if found is not None:
            position, reason = found
            broken.append(f"line {sentence.line + position} ({reason})")
    if broken:
        more = ", ..." if len(broken) > _SHOWN else ""
        raise BrokenIob(
            f"{file.name} is not IOB2 in {len(broken)} sentences: {', '.join(broken[:_SHOWN])}"
            f"{more}; begin each entity with B-TYPE and go on with I-TYPE",
            sentences=len(broken),
        )
