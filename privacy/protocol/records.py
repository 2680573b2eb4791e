"""Canonical records: a class says the form of each field once, and is checked, written and read.

A record is written as its tag, then its fields in the order in which the class declares them. A
field's form stands in its annotation: `run: Annotated[str, name("a run id")]`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from inspect import get_annotations
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar, get_args, get_type_hints

from privacy import canonical
from privacy.canonical import DIGEST_SIZE, MAX_NUMBER, Reader
from privacy.identity.public_identity import SIGNATURE_SIZE, PublicIdentity

Value = TypeVar("Value")


@dataclass(frozen=True)
class Form(Generic[Value]):
    """The form of a field.

    Args:
        require: Raises MalformedEnvelope if a value does not have the form.
        encode: Returns the canonical bytes of a value that has it.
        read: Returns the next value of a reader; `require` then checks it.
    """

    require: Callable[[Value], None]
    encode: Callable[[Value], bytes]
    read: Callable[[Reader], Value]


def name(what: str) -> Form[str]:
    """Return the form of a lower-case name."""
    return Form(partial(canonical.require_name, what), canonical.text, Reader.text)


def names(what: str) -> Form[tuple[str, ...]]:
    """Return the form of distinct names in alphabetical order."""
    return Form(partial(canonical.require_names, what), canonical.names, Reader.names)


def number(what: str, *, low: int = 0, high: int = MAX_NUMBER) -> Form[int]:
    """Return the form of a whole number from `low` to `high`."""
    require = partial(canonical.require_number, what, low=low, high=high)
    return Form(require, canonical.number, Reader.number)


def fixed_bytes(what: str, size: int = DIGEST_SIZE) -> Form[bytes]:
    """Return the form of so many bytes, whose length is not written; by default of a digest."""
    require = partial(canonical.require_bytes, what, low=size, high=size)
    return Form(require, bytes, lambda reader: reader.fixed_bytes(size))


def blob(what: str, *, low: int, high: int) -> Form[bytes]:
    """Return the form of `low` to `high` bytes, with their length before them."""
    require = partial(canonical.require_bytes, what, low=low, high=high)
    return Form(require, canonical.blob, lambda reader: reader.blob(at_most=high))


def inner(kind: type["RecordType"], *, at_most: int) -> Form["RecordType"]:
    """Return the form of a record in a record: at most so many bytes, with their length first."""
    return Form(
        lambda _: None,  # a record was checked when it was made
        lambda record: canonical.blob(record.encode()),
        lambda reader: kind.decode(reader.blob(at_most=at_most)),
    )


SIGNATURE = fixed_bytes("a signature", SIGNATURE_SIZE)


@dataclass(frozen=True, kw_only=True)
class Record:
    """The base of a frozen dataclass with a tag, each of whose fields has a form.

    Guarantee: `decode(encode(x)) == x`, `encode(decode(b)) == b`, and other bytes are refused.

    Raises:
        MalformedEnvelope: A field does not have its form.
    """

    tag: ClassVar[bytes]
    forms: ClassVar[Mapping[str, Form[Any]]] = {}

    def __init_subclass__(cls, *, tag: bytes = b"") -> None:
        hints = get_type_hints(cls, include_extras=True)
        own = {field: get_args(hints[field])[1] for field in get_annotations(cls)}
        # What a kind of record inherits is written last: a signature.
        cls.tag, cls.forms = tag, own | dict(cls.forms)

    def __post_init__(self) -> None:
        for field, form in self.forms.items():
            form.require(getattr(self, field))

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return self._encoded

    @cached_property
    def _encoded(self) -> bytes:
        written = (form.encode(getattr(self, field)) for field, form in self.forms.items())
        return self.tag + b"".join(written)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse what `encode` wrote; raise MalformedEnvelope for anything else."""
        reader = Reader(data, tag=cls.tag)
        record = cls.read(reader)
        reader.end()
        # One value has one encoding, so these bytes are the ones that `encode` would write.
        vars(record)["_encoded"] = bytes(data)
        return record

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Return the record whose tag a reader has read and whose fields come next."""
        return cls(**{field: form.read(reader) for field, form in cls.forms.items()})


RecordType = TypeVar("RecordType", bound=Record)


@dataclass(frozen=True, kw_only=True)
class SignedRecord(Record):
    """A record that ends with a signature of all that is written before it."""

    signature: Annotated[bytes, SIGNATURE]

    @cached_property
    def body(self) -> bytes:
        """The bytes that are signed."""
        return self.encode()[:-SIGNATURE_SIZE]

    @classmethod
    def body_of(cls, **parts: object) -> bytes:
        """Return the bytes that a record of these parts signs: the tag and every other field."""
        signed = [field for field in cls.forms if field != "signature"]
        return cls.tag + b"".join(cls.forms[field].encode(parts[field]) for field in signed)

    def verify(self, signer: PublicIdentity) -> None:
        """Check that this member signed the record: once for a record that was parsed once.

        Raises:
            BadSignature: The signature is not valid.
        """
        if vars(self).get("_signer") != signer:
            signer.verify(self.body, self.signature)
            vars(self)["_signer"] = signer  # neither the record nor the signer ever changes
