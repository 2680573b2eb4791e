"""How a source is to be read: what somebody says of its records, so that nothing is guessed.

Each word says one thing, such as `decimal:comma` or `column:age=ALTER`. The same words are given to
`scenario run --data`, `scenario predict`, `consortium site init` and `scenario check-data`.
"""

import codecs
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from privacy.errors import ConsortiumError, unknown_name
from privacy.storage.document_mistakes import document_mistakes

DateForm: TypeAlias = Literal[
    "YYYY-MM-DD", "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY", "YYYYMMDD", "excel", "excel-1904"
]
DATE_FORMS: tuple[DateForm, ...] = get_args(DateForm)
UTF_8 = "utf-8"
# Signs by their names: a shell reads some signs as its own.
SIGNS: Mapping[str, str] = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    "pipe": "|",
    "point": ".",
    "space": " ",
    "apostrophe": "'",
}
SIGN_NAMES: Mapping[str, str] = {sign: name for name, sign in SIGNS.items()}
WORDS: Mapping[str, str] = {
    "column": "column:OURS=THEIRS",
    "separator": "separator:semicolon, tab, pipe or comma",
    "decimal": "decimal:comma or point",
    "thousands": "thousands:point, comma, space or apostrophe",
    "encoding": "encoding:latin-1 or another name of one",
    "missing": "missing:CODE or missing:COLUMN=CODE",
    "values": "values:COLUMN:THEIRS=OURS, several with ; between them",
    "date": f"date:COLUMN=FORM, where FORM is {', '.join(DATE_FORMS)}",
    "persons": "persons:rows",
    "sheet": "sheet:NAME, of an Excel workbook",
    "codes": "codes:COLUMN, where the names that a file gives to values are not wanted",
}

MADE_UP_PERSONS = (
    "no column says whose a record is, so each row counts as a person of its own: if somebody has "
    "several rows, they may stand in training and test, and privacy by person protects a row only"
)


class BadReading(ConsortiumError, ValueError, code="bad-reading"):
    """What was said of how to read a source is no word, contradicts itself, or does not fit it."""


class Reading(BaseModel):
    """How the columns and cells of a source are to be understood.

    Args:
        columns: The source's name of a column, by the name that the schema uses.
        decimal: What separates the decimals of a number that is written as text.
        thousands: What separates its thousands; None if nothing does.
        missing: Texts that stand for a missing value in every column but that of persons.
        missing_in: Texts that stand for one in a column, by the schema's name of it.
        values: The declared value that a value of the source means, by the schema's name of the
            column.
        dates: How dates are written, by the schema's name of the column. They become the number of
            days since 1970-01-01.
        codes: Columns, by the schema's name, whose cells are values though the file has labels.
        persons: `rows` if no column says whose a record is and each row is a person of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[str, str] = {}
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None
    missing: tuple[str, ...] = ()
    missing_in: dict[str, tuple[str, ...]] = {}
    values: dict[str, dict[str, str]] = {}
    dates: dict[str, DateForm] = {}
    codes: tuple[str, ...] = ()
    persons: Literal["column", "rows"] = "column"

    @model_validator(mode="after")
    def _signs_differ(self) -> "Reading":
        if self.decimal == self.thousands:
            name = SIGN_NAMES[self.decimal]
            raise ValueError(f"the {name} cannot separate both decimals and thousands")
        theirs = [*self.columns.values()]
        twice = sorted({name for name in theirs if theirs.count(name) > 1})
        if twice:
            raise ValueError(f"the column {twice[0]!r} is named for two columns of the schema")
        return self

    @property
    def named_columns(self) -> tuple[str, ...]:
        """The columns of which something is said, by the schema's names of them."""
        return (*self.columns, *self.missing_in, *self.values, *self.dates, *self.codes)


AS_DECLARED = Reading()


class FileForm(BaseModel):
    """How a file is written.

    Args:
        separator: Character between the values of a CSV or TSV file; None if it was not said.
        encoding: Name of its encoding; None if it was not said.
        sheet: Name of the sheet that holds the records; None if it was not said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    separator: Literal[",", ";", "\t", "|"] | None = None
    encoding: str | None = None
    sheet: str | None = None


Model = TypeVar("Model", FileForm, Reading)


def is_word(text: str) -> bool:
    """Return whether a text is one of the words, right or wrong in what it says."""
    return text.partition(":")[0] in WORDS and ":" in text


def require_word(text: str) -> None:
    """Refuse a text that looks like a word and is none, such as `decimel:comma`.

    Raises:
        BadReading: It does; the nearest word is named.
    """
    name, colon, said = text.partition(":")
    if colon and len(name) > 1 and name.isalpha() and not said.startswith(("//", ":")):
        raise BadReading(unknown_name(name, WORDS, kind="word"))


def parsed_words(words: Sequence[str]) -> tuple[FileForm, Reading]:
    """Return what words say.

    Raises:
        BadReading: A word does not have its form, or two contradict each other.
    """
    form: dict[str, object] = {}
    reading: dict[str, object] = {}
    pairs: dict[str, dict[str, object]] = {"column": {}, "date": {}}
    codes = [word for word in words if word.startswith("missing:")]
    for word in words:
        name, _, said = word.partition(":")
        match name:
            case "column" | "date":
                _enter(pairs[name], *_split_pair(word), word)
            case "separator":
                _enter(form, name, SIGNS.get(said, said), word)
            case "encoding":
                _enter(form, name, encoding_named(said), word)
            case "decimal" | "thousands":
                _enter(reading, name, SIGNS.get(said, said), word)
            case "persons":
                _enter(reading, name, said, word)
            case "sheet":
                _enter(form, name, said, word)
    named = {
        "columns": pairs["column"],
        "dates": pairs["date"],
        "values": _meanings([word for word in words if word.startswith("values:")]),
        "codes": [word.partition(":")[2] for word in words if word.startswith("codes:")],
    }
    return _validated_model(FileForm, form), _validated_model(
        Reading, {**reading, **named, **_codes(codes)}
    )


def _validated_model(model: type[Model], said: dict[str, object]) -> Model:
    try:
        return model.model_validate(said)
    except ValidationError as error:
        raise BadReading(f"--data: {document_mistakes(error, model)}") from error


def _enter(known: dict[str, object], name: str, said: object, word: str) -> None:
    if known.setdefault(name, said) != said:
        raise BadReading(f"'{word}' contradicts another word: {name} is said twice")


def _codes(words: Sequence[str]) -> dict[str, object]:
    general: list[str] = []
    in_column: dict[str, tuple[str, ...]] = {}
    for word in words:
        said = word.partition(":")[2].strip()
        if not said:
            raise BadReading(f"--data {WORDS['missing']} is the form; got '{word}'")
        if "=" in said:
            column, code = _split_pair(word)
            in_column[column] = (*in_column.get(column, ()), code)
        else:
            general.append(said)
    return {"missing": general, "missing_in": in_column}


def _meanings(words: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return what values of a source mean, by column."""
    found: dict[str, dict[str, object]] = {}
    for word in words:
        column, _, said = word.removeprefix("values:").partition(":")
        for pair in said.split(";"):
            theirs, _, ours = (part.strip() for part in pair.partition("="))
            if not column or not theirs or not ours:
                raise BadReading(f"--data {WORDS['values']} is the form; got '{word}'")
            _enter(found.setdefault(column, {}), theirs, ours, word)
    return found


def _split_pair(word: str) -> tuple[str, str]:
    name, _, said = word.partition(":")
    ours, equals, theirs = said.partition("=")
    if not equals or not ours or not theirs:
        raise BadReading(f"--data {WORDS[name]} is the form; got '{word}'")
    return ours, theirs


def encoding_named(said: str) -> str:
    """Return the name by which Python knows an encoding.

    Raises:
        BadReading: There is no such encoding of texts.
    """
    try:
        found = codecs.lookup(said).name
        "".encode(found)
    except (LookupError, ValueError) as error:  # one codec is there to refuse every text
        raise BadReading(
            f"there is no encoding '{said}': say utf-8, latin-1, cp1252 or utf-16"
        ) from error
    return found
