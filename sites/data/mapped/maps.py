"""A declared map, from what a source holds to one row a person: what all of them have in common."""

import json
import tomllib
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from privacy.storage.document_mistakes import document_mistakes
from sites.data.tables import MissingFile, UnreadableSource
from sites.schema.tables import NAME

ColumnName: TypeAlias = Annotated[str, Field(pattern=NAME)]
NUMBERS = ("min", "max", "mean")  # what is taken of numbers only
Map = TypeVar("Map", bound=BaseModel)


class Declared(BaseModel):
    """A part of a map: it has no key but those declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Conversion(Declared):
    """How a quantity in another unit becomes one in the column's unit: `factor` * x + `plus`."""

    factor: float
    plus: float = 0.0


def read_declared(path: Path, kind: type[Map], *, refusal: type[UnreadableSource]) -> Map:
    """Return the map of a kind in a TOML (`.toml`) or JSON (`.json`) document.

    Raises:
        MissingFile: There is no such file.
        UnreadableSource: As `refusal`: it is not such a map; the message names what is wrong, and
            the nearest key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingFile(f"there is no map {path} ({error.strerror}): check the path") from error
    except UnicodeDecodeError as error:
        raise refusal(f"{path} is not UTF-8 text: save it as UTF-8") from error
    try:
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        form = "JSON" if path.suffix == ".json" else "TOML"
        raise refusal(f"{path} is not {form}: {error}") from error
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise refusal(f"{path}: {document_mistakes(error, kind)}") from error
