"""Conversion between Flower records and arrays, bytes and facts. Only this module does it.

Arrays travel as raw little-endian bytes under our own `stype`. So nothing that a peer sends is
passed to a deserialiser: the header of a hostile `npy` file alone can request 745 GiB.
"""

import re
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray

from privacy.errors import COUNT_NAMES, ConsortiumError, number_of
from privacy.layout import Tally

VECTOR_TYPE = "consortium.vector/1"
TALLY_TYPE = "consortium.tally/1"
BYTES_TYPE = "consortium.sealed/1"

ARRAYS = "arrays"
FACTS = "facts"
REFUSAL = "refusal"
PROOF = "proof"

Facts: TypeAlias = Mapping[str, str | int | float | bytes]

_CODE = re.compile(r"[a-z0-9-]{1,64}")
_COUNT = re.compile(r"count\.[a-z0-9_]{1,64}")
_MAX_COUNTS = 16
_REFUSING = "site"
_LONGEST_NAME = 64
_SIGNATURE_SIZE = 64


class MalformedRecord(ConsortiumError, ValueError, code="malformed-record"):
    """A peer's record does not have the agreed form."""


def vector_array(vector: NDArray[np.floating]) -> Array:
    """Return a vector, shape (dim,), in its wire form: float32, little-endian."""
    data = np.ascontiguousarray(vector, dtype="<f4").tobytes()
    return Array(dtype="float32", shape=vector.shape, stype=VECTOR_TYPE, data=data)


def tally_array(tally: Tally) -> Array:
    """Return a tally, shape (size,), in its wire form: int64, little-endian."""
    data = np.ascontiguousarray(tally, dtype="<i8").tobytes()
    return Array(dtype="int64", shape=tally.shape, stype=TALLY_TYPE, data=data)


def bytes_array(data: bytes) -> Array:
    """Return opaque bytes (an envelope, ciphertexts) in their wire form."""
    return Array(dtype="uint8", shape=(len(data),), stype=BYTES_TYPE, data=data)


def read_vector(array: Array, *, dim: int) -> NDArray[np.float32]:
    """Return the float32 vector that a peer sent, shape (dim,), a read-only view of its bytes.

    Raises:
        MalformedRecord: Its type, dtype, shape or length is not the agreed one.
    """
    _check(array, stype=VECTOR_TYPE, dtype="float32", shape=(dim,), nbytes=4 * dim)
    return np.frombuffer(array.data, dtype="<f4")


def read_tally(array: Array, *, size: int) -> Tally:
    """Return the tally that a peer sent, shape (size,), a read-only view of its bytes.

    Raises:
        MalformedRecord: Its type, dtype, shape or length is not the agreed one.
    """
    _check(array, stype=TALLY_TYPE, dtype="int64", shape=(size,), nbytes=8 * size)
    return np.frombuffer(array.data, dtype="<i8")


def read_bytes(array: Array, *, at_most: int) -> bytes:
    """Return the opaque bytes that a peer sent, at most `at_most` of them.

    Raises:
        MalformedRecord: There are more, or their declared type or number is wrong.
    """
    if len(array.data) > at_most:
        raise MalformedRecord(
            f"at most {at_most} bytes were agreed, got {len(array.data)}",
            at_most=at_most,
            came=len(array.data),
        )
    size = len(array.data)
    _check(array, stype=BYTES_TYPE, dtype="uint8", shape=(size,), nbytes=size)
    return array.data


def content(arrays: Mapping[str, Array], facts: Facts) -> RecordDict:
    """Return arrays and scalar facts as the content of a message."""
    return RecordDict({ARRAYS: ArrayRecord(dict(arrays)), FACTS: ConfigRecord(dict(facts))})


def refusal_content(error: ConsortiumError) -> RecordDict:
    """Return a refusal as the content of a reply: its code and counts, never its text."""
    return refusal_of(error.code, error.counts)


def refusal_of(code: str, counts: Mapping[str, int], *, site: str = "") -> RecordDict:
    """Return a refusal as the content of a reply, with the name of the site that refuses."""
    facts: dict[str, str | int | float | bytes] = {"code": code}
    facts.update({f"count.{name}": int(value) for name, value in counts.items()})
    if site:
        facts[_REFUSING] = site
    return RecordDict({REFUSAL: ConfigRecord(dict(facts))})


def proven_refusal(refusal: RecordDict, proof: bytes) -> RecordDict:
    """Return a refusal with the signature of the site that it names, in a record of its own.

    A reader of before, who looks at the refusal only, reads it as ever.
    """
    return RecordDict({REFUSAL: refusal[REFUSAL], PROOF: ConfigRecord({PROOF: proof})})


def refusal_proof(record: RecordDict) -> bytes:
    """Return the signature that came with a refusal, not yet verified; empty if none came."""
    proof = record.get(PROOF)
    signature = proof.get(PROOF) if isinstance(proof, ConfigRecord) else None
    if not isinstance(signature, bytes) or len(signature) != _SIGNATURE_SIZE:
        return b""
    return signature


def arrays_and_facts(record: RecordDict) -> tuple[ArrayRecord, ConfigRecord]:
    """Return the arrays and the facts of a content that holds exactly these two records.

    Do not use Flower's own `record.array_records`: it creates a reference cycle around the record,
    which then stays in memory until the garbage collector runs.

    Raises:
        MalformedRecord: The content holds anything else.
    """
    if set(record) != {ARRAYS, FACTS}:
        raise MalformedRecord(
            f"a message must hold exactly '{ARRAYS}' and '{FACTS}', got "
            f"{number_of(len(record), 'record')}"
        )
    arrays, facts = record[ARRAYS], record[FACTS]
    if not isinstance(arrays, ArrayRecord) or not isinstance(facts, ConfigRecord):
        raise MalformedRecord(f"'{ARRAYS}' must hold arrays and '{FACTS}' scalars")
    return arrays, facts


def read_content(
    record: RecordDict, *, arrays: frozenset[str], facts: frozenset[str]
) -> tuple[ArrayRecord, ConfigRecord]:
    """Return the arrays and facts of a content that has exactly the agreed keys.

    Raises:
        MalformedRecord: A record, an array or a fact is missing or was not agreed.
    """
    array_record, fact_record = arrays_and_facts(record)
    odd = (set(array_record) ^ arrays) | (set(fact_record) ^ facts)
    if odd:
        raise MalformedRecord(
            f"the arrays {sorted(arrays)} and the facts {sorted(facts)} were agreed; {len(odd)} "
            "keys are missing or were not agreed",
            odd=len(odd),
        )
    return array_record, fact_record


def read_refusal(record: RecordDict) -> tuple[str, dict[str, int]] | None:
    """Return the code and counts of a refusal, or None if the content is not a refusal.

    Guarantee: every count has a name of `COUNT_NAMES`. Counts of other names, which a site of a
    later version may send, are dropped.

    Raises:
        MalformedRecord: It claims to be a refusal, but does not have the form of one.
    """
    stated = stated_refusal(record)
    if stated is None:
        return None
    code, counts = stated
    return code, {name: number for name, number in counts.items() if name in COUNT_NAMES}


def stated_refusal(record: RecordDict) -> tuple[str, dict[str, int]] | None:
    """Return the code and counts of a refusal whatever their names, as its signature covers them.

    Raises:
        MalformedRecord: It claims to be a refusal, but does not have the form of one.
    """
    if REFUSAL not in record:
        return None
    refusal = record[REFUSAL]
    others = 2 if isinstance(refusal, ConfigRecord) and _REFUSING in refusal else 1
    if not isinstance(refusal, ConfigRecord) or len(refusal) > _MAX_COUNTS + others:
        raise MalformedRecord(f"a refusal must be a code and at most {_MAX_COUNTS} counts")
    code, site = refusal.get("code"), refusal.get(_REFUSING, "")
    counts = {
        key.removeprefix("count."): value
        for key, value in refusal.items()
        if _COUNT.fullmatch(key) and type(value) is int
    }
    if (
        not isinstance(code, str)
        or not _CODE.fullmatch(code)
        or len(counts) != len(refusal) - others
    ):
        raise MalformedRecord("a refusal must be a kebab-case code and whole counts")
    if not isinstance(site, str) or len(site) > _LONGEST_NAME:
        raise MalformedRecord(
            f"a refusal must name the site in at most {_LONGEST_NAME} characters, or no site"
        )
    return code, counts


def refusing_site(record: RecordDict) -> str:
    """Return the name of the site that refuses, or "". The name is only claimed, not proved.

    Raises:
        MalformedRecord: It claims to be a refusal, but does not have the form of one.
    """
    if read_refusal(record) is None:
        return ""
    refusal = record[REFUSAL]
    return str(refusal.get(_REFUSING, "")) if isinstance(refusal, ConfigRecord) else ""


def fact_int(facts: ConfigRecord, name: str, *, low: int, high: int) -> int:
    """Return a whole number that a peer stated, within its agreed range.

    Raises:
        MalformedRecord: It is not a whole number, or is out of range.
    """
    value = facts[name]
    if type(value) is not int or not low <= value <= high:
        raise MalformedRecord(f"{name} must be a whole number from {low} to {high}")
    return value


def fact_str(facts: ConfigRecord, name: str, *, at_most: int) -> str:
    """Return a text that a peer stated, at most `at_most` characters long.

    Raises:
        MalformedRecord: It is not a text, or is longer.
    """
    value = facts[name]
    if not isinstance(value, str) or len(value) > at_most:
        raise MalformedRecord(f"{name} must be a text of at most {at_most} characters")
    return value


def num_bytes(record: RecordDict) -> int:
    """Return the number of bytes of arrays in a content."""
    records = [item for item in record.values() if isinstance(item, ArrayRecord)]
    return sum(len(array.data) for item in records for array in item.values())


def _check(array: Array, *, stype: str, dtype: str, shape: tuple[int, ...], nbytes: int) -> None:
    came = (array.stype, array.dtype, tuple(array.shape), len(array.data))
    if came != (stype, dtype, shape, nbytes):
        raise MalformedRecord(
            f"an array of type {stype}, {dtype}, shape {shape} was agreed ({nbytes} bytes); "
            f"{len(array.data)} bytes came",
            needed=nbytes,
            came=len(array.data),
        )
