"""Read JSON lines: one object a line, each a record."""

import json
from pathlib import Path

import pandas as pd

from sites.data.cells import has_half_character
from sites.data.plain_text import open_text, repeated_names
from sites.data.tables import BadTexts, BrokenFile

_SHOWN = 5
_MOST_DIGITS = 308  # of a whole number that a float64 can hold


def read_json_lines(path: Path, encoding: str) -> pd.DataFrame:
    """Return the records of a file; the index is the line of each.

    Raises:
        BrokenFile: A line is no object, or names something twice.
        BadTexts: A text holds half a character.
    """
    records, lines, broken = [], [], []
    with open_text(path, encoding) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                record = _json_object(line, f"{path} line {number}")
                records.append(record)
                lines.append(number)
                # Only an escape can write half a character; most files need no second look.
                if "\\u" in line and has_half_character(json.dumps(record, ensure_ascii=False)):
                    broken.append(number)
    if broken:
        shown = ", ".join(map(str, broken[:_SHOWN])) + (", ..." if broken[_SHOWN:] else "")
        where = "line" if len(broken) == 1 else f"{len(broken)} lines:"
        raise BadTexts(
            f"{path} holds half a character in {where} {shown}: a text was cut off within one; "
            "remove what is left of it, or export the texts again",
            rows=len(broken),
        )
    return pd.DataFrame(records, index=pd.Index(lines, dtype="int64"), dtype=object)


def _json_object(line: str, place: str) -> dict[str, object]:
    try:
        record = json.loads(
            line,
            object_pairs_hook=lambda pairs: _json_pairs(pairs, place),
            parse_int=_json_whole_number,
        )
    except json.JSONDecodeError as error:
        raise BrokenFile(
            f"{place} is not JSON: {error.msg} at character {error.pos + 1}; each record must be "
            "one object on one line"
        ) from error
    except RecursionError as error:
        raise BrokenFile(f"{place} is nested too deeply for a record") from error
    if not isinstance(record, dict):
        raise BrokenFile(f'{place} must be an object such as {{"age": 63}}')
    return record


def _json_whole_number(digits: str) -> int | float:
    """Return a whole number, or infinity, which is in no bounds, where a float cannot hold it."""
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def _json_pairs(pairs: list[tuple[str, object]], place: str) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        repeated = repeated_names(name for name, _ in pairs)
        raise BrokenFile(f"{place} names {repeated[:_SHOWN]} more than once: keep one of each")
    return record
