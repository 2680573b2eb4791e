"""The JSON of which a charter's fingerprint is the SHA-256, written here and by no library.

The same charter must have the same fingerprint at every member, whatever version of a library is
installed there. The form is that in which version 0.1.0 wrote it: no blanks, keys in the order of
the fields, text as UTF-8, and numbers as `canonical_number` says.
"""

import json
import math
from decimal import Decimal
from typing import TypeAlias

_PLAIN = json.JSONEncoder(ensure_ascii=False)  # made once: a charter has thousands of values

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

_MOST_DIGITS = 16  # before the point; a larger number is written with an exponent
_MOST_ZEROS = 5  # from the point on; a smaller number is written with an exponent


def canonical_json(value: Plain) -> str:
    """Return the one text of a value: the same value always has the same text."""
    match value:
        case dict():
            items = (f"{canonical_json(key)}:{canonical_json(one)}" for key, one in value.items())
            return f"{{{','.join(items)}}}"
        case list():
            return f"[{','.join(canonical_json(one) for one in value)}]"
        case float():
            return canonical_number(value)
        case _:
            return _PLAIN.encode(value)


def canonical_number(value: float) -> str:
    """Return the shortest decimal that gives the same float64; `null` if it is not finite.

    Numbers from 1e-5 up to 1e16 are written without an exponent and with a point, as in `0.00001`
    and `1000.0`; others as in `1e-6` and `1.5e+16`.
    """
    if not math.isfinite(value):
        return "null"
    shortest = Decimal(repr(value)).normalize().as_tuple()
    exponent, minus = int(shortest.exponent), "-" if shortest.sign else ""
    text, point = "".join(map(str, shortest.digits)), len(shortest.digits) + exponent
    if value == 0:
        return f"{minus}0.0"
    if exponent >= 0 and point <= _MOST_DIGITS:
        return f"{minus}{text}{'0' * exponent}.0"
    if 0 < point <= _MOST_DIGITS:
        return f"{minus}{text[:point]}.{text[point:]}"
    if -_MOST_ZEROS < point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    tail = f".{text[1:]}" if len(text) > 1 else ""
    return f"{minus}{text[0]}{tail}e{point - 1:+d}"
