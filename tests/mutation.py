"""Messages that nobody sane would send: a good one, changed in a few places, by a seed."""

from copy import deepcopy
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from privacy.wire.flower_records import BYTES_TYPE, REFUSAL, TALLY_TYPE, VECTOR_TYPE

_ODD: tuple[Any, ...] = (
    *(0, 1, -1, 2**31, 2**62, -(2**63)),
    *(0.0, -1.0, 1e308, float("nan"), float("inf")),
    *("", "x", "a" * 100_000, "\x00", "\ud7ff", "../../etc/passwd", "train", "-1", "1" * 5_000),
    *(b"", b"\x00", b"\xff" * 4_096, True, False),
    *([], [1, 2], [1.5], ["a"], [b"b"], [True]),
)
_DTYPES = ("float32", "int64", "uint8", "object", "", "float64", "complex256", "O" * 1_000)
_STYPES = (VECTOR_TYPE, TALLY_TYPE, BYTES_TYPE, "numpy.ndarray", "", "pickle", "torch")


def mutated(content: RecordDict, rng: np.random.Generator) -> RecordDict:
    """Return a copy of a message's content with one to three changes."""
    changed = deepcopy(content)
    for _ in range(int(rng.integers(1, 4))):
        names = sorted(changed)
        if not names or rng.random() < 0.05:
            changed = _records(changed, rng)
            continue
        name = names[rng.integers(len(names))]
        record = changed[name]
        if isinstance(record, ArrayRecord):
            changed[name] = _arrays(record, rng)
        elif isinstance(record, ConfigRecord):
            changed[name] = _facts(record, rng)
    return changed


def _pick(choices: Any, rng: np.random.Generator) -> Any:
    return choices[rng.integers(len(choices))]


def _records(content: RecordDict, rng: np.random.Generator) -> RecordDict:
    """Drop, rename or add a whole record."""
    records = dict(content)
    match rng.integers(5):
        case 0:
            records = {}
        case 1 if records:
            records.pop(_pick(sorted(records), rng))
        case 2 if records:
            records[_pick(("arrays", "facts", REFUSAL, "", "x"), rng)] = records.pop(
                _pick(sorted(records), rng)
            )
        case 3:
            records[_pick(("metrics", "arrays", REFUSAL), rng)] = MetricRecord({"a": 1.0})
        case _:
            records[REFUSAL] = ConfigRecord({"code": _pick(("x", "../", "site-error", ""), rng)})
    return RecordDict(records)


def _facts(record: ConfigRecord, rng: np.random.Generator) -> ConfigRecord:
    facts = dict(record)
    names = sorted(facts)
    match rng.integers(4):
        case 0 if names:
            facts.pop(_pick(names, rng))
        case 1:
            facts[_pick(("x", "count.a", "code", "site", "round", "state"), rng)] = _pick(_ODD, rng)
        case 2 if names:
            name = _pick(names, rng)
            facts[name] = _near(facts[name], rng)
        case _ if names:
            facts[_pick(names, rng)] = _pick(_ODD, rng)
    return ConfigRecord(facts)


def _near(value: Any, rng: np.random.Generator) -> Any:
    """Return something of the same type, a little different."""
    match value:
        case bool():
            return not value
        case int():
            return int(np.clip(value + int(_pick((-1, 1, 7, -1_000), rng)), -(2**63), 2**63 - 1))
        case float():
            return value * -1.5
        case str():
            return value[: rng.integers(len(value) + 1)] + _pick(("", "\u00e9", "0"), rng)
        case bytes():
            return _bytes(value, rng)
        case _:
            return value


def _arrays(record: ArrayRecord, rng: np.random.Generator) -> ArrayRecord:
    arrays = dict(record)
    names = sorted(arrays)
    choice = rng.integers(8)
    if not names or choice == 0:
        arrays[_pick(("x", "update", "tally", "sums"), rng)] = Array("float32", (1,), "x", b"1234")
    elif choice == 1:
        arrays.pop(_pick(names, rng))
    else:
        name = _pick(names, rng)
        arrays[name] = _array(arrays[name], rng)
    return ArrayRecord(arrays)


def _array(array: Array, rng: np.random.Generator) -> Array:
    """Change what an array says of itself, or the bytes of it."""
    dtype, shape, stype, data = array.dtype, array.shape, array.stype, array.data
    match rng.integers(8):
        case 0:
            dtype = _pick(_DTYPES, rng)
        case 1:
            shape = _pick(((), (0,), (2**40,), (-1,), (1, *shape), (len(data),)), rng)
        case 2:
            stype = _pick(_STYPES, rng)
        case 3:
            data = _bytes(data, rng)
            shape = (len(data) // max(1, len(array.data) // max(1, int(np.prod(shape)))),)
        case _:
            data = _flipped(data, rng)
    return Array(dtype, tuple(shape), stype, data)


def _bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut bytes, lengthen them, or change some."""
    match rng.integers(4):
        case 0:
            return data[: rng.integers(len(data) + 1)]
        case 1:
            return data + rng.bytes(int(rng.integers(1, 64)))
        case 2:
            return rng.bytes(len(data))
        case _:
            return _flipped(data, rng)


def _flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """Change one to eight bytes, the first ones, where the headers are, more often."""
    if not data:
        return b"\x01"
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        reach = len(data) if rng.random() < 0.5 else min(64, len(data))
        changed[rng.integers(reach)] = rng.integers(256)
    return bytes(changed)
