"""The closed list of what may leave a site: for each kind of answer its records, keys and sizes.

The list is checked on what is about to leave, whoever made it. Nothing in an answer is free
text: a text that leaves is one that the coordinator knows already.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from consortium.charter.document import Charter
from privacy.contribution import Contribution, UpdateVector
from privacy.encryption.parameters import Placement
from privacy.identity.public_identity import SIGNATURE_SIZE
from privacy.layout import Layout
from privacy.policy.violations import NotReleased
from privacy.protocol.announcements import MAX_ANNOUNCEMENT_BYTES, MAX_ATTESTATION_BYTES
from privacy.wire import comparison_messages, messages
from privacy.wire.flower_records import ARRAYS, BYTES_TYPE, FACTS, TALLY_TYPE, VECTOR_TYPE

Parts: TypeAlias = tuple[ArrayRecord, ConfigRecord]

_NAME_BYTES = 256


@dataclass(frozen=True)
class ArrayForm:
    """What an array that leaves looks like.

    Args:
        stype: How it is encoded.
        dtype: Its entries.
        width: Bytes of an entry.
        least: Fewest entries.
        most: Most entries.
        marker: What its bytes begin with.
        other: Another form that fits as well.
    """

    stype: str
    dtype: str
    width: int
    least: int
    most: int
    marker: bytes = b""
    other: "ArrayForm | None" = None

    def fits(self, array: Array) -> bool:
        """Return whether an array has this form, or the other one."""
        return self._fits(array) or (self.other is not None and self.other.fits(array))

    def or_nothing(self) -> "ArrayForm":
        """Return the form of an array that is like this one, or empty."""
        empty = ArrayForm(self.stype, self.dtype, self.width, 0, 0)
        last = self.other.or_nothing() if self.other else empty
        return replace(self, other=last)

    def _fits(self, array: Array) -> bool:
        came = (array.stype, array.dtype, len(array.shape))
        if came != (self.stype, self.dtype, 1) or not self.least <= array.shape[0] <= self.most:
            return False
        # The bytes are compared with the shape: what stands behind the shape's last entry would
        # leave unseen.
        fits = len(array.data) == self.width * array.shape[0]
        # The marker tells sealed bytes from plain ones of the same length that nobody sealed.
        return fits and array.data.startswith(self.marker)


def packed(most: int, *shorter: int) -> ArrayForm:
    """Return the form of a compressed update: its exact length.

    Args:
        most: Bytes of it.
        shorter: Bytes of those of other rounds, if they are fewer.
    """
    other = packed(*shorter) if shorter else None
    return ArrayForm(BYTES_TYPE, "uint8", 1, most, most, other=other)


def opaque(most: int, *, least: int = 0) -> ArrayForm:
    """Return the form of sealed or signed bytes."""
    return ArrayForm(BYTES_TYPE, "uint8", 1, least, most)


def ciphertexts(placement: Placement, *shorter: Placement) -> ArrayForm:
    """Return the form of ciphertexts: their exact length, and the marker they begin with.

    Args:
        placement: Of the ciphertexts.
        shorter: Of the ciphertexts of other rounds, if they are fewer.
    """
    size = placement.upload_bytes
    other = ciphertexts(*shorter) if shorter else None
    return ArrayForm(BYTES_TYPE, "uint8", 1, size, size, placement.upload_marker, other)


def vector(dim: int) -> ArrayForm:
    """Return the form of an update."""
    return ArrayForm(VECTOR_TYPE, "float32", 4, dim, dim)


def tally(size: int) -> ArrayForm:
    """Return the form of counts."""
    return ArrayForm(TALLY_TYPE, "int64", 8, size, size)


@dataclass(frozen=True)
class IntRange:
    """A whole number that leaves, in a range."""

    low: int
    high: int

    def fits(self, value: object) -> bool:
        """Return whether a value is one."""
        # Python takes `True` for an int: it would be a second way to say 1.
        return type(value) is int and self.low <= value <= self.high


@dataclass(frozen=True)
class FixedText:
    """A text that leaves: this one, which the coordinator knows."""

    text: str

    def fits(self, value: object) -> bool:
        """Return whether a value is this text."""
        return type(value) is str and value == self.text


@dataclass(frozen=True, kw_only=True)
class ReplyForm:
    """All that one kind of answer holds.

    Args:
        arrays: By key; each must be there.
        facts: By key; each must be there.
        optional: Arrays that are there if the fact `released` is 1, and only then.
    """

    arrays: Mapping[str, ArrayForm] = field(default_factory=dict)
    facts: Mapping[str, IntRange | FixedText] = field(default_factory=dict)
    optional: Mapping[str, ArrayForm] = field(default_factory=dict)

    @property
    def most_bytes(self) -> int:
        """Bytes of all its arrays, at most."""
        forms = (*self.arrays.values(), *self.optional.values())
        return sum(form.most * form.width for form in forms)

    def require(self, content: RecordDict) -> Parts:
        """Return arrays and facts of an answer that holds exactly this.

        Raises:
            NotReleased: It holds anything else; what, is not told.
        """
        arrays, facts = content.get(ARRAYS), content.get(FACTS)
        if (
            set(content) != {ARRAYS, FACTS}
            or not isinstance(arrays, ArrayRecord)
            or not isinstance(facts, ConfigRecord)
        ):
            raise NotReleased("an answer holds arrays and facts, and nothing else")
        # Counts of a round are there only if the answer says so, and then they must be.
        shown = self.optional if facts.get("released") == 1 else {}
        forms = {**self.arrays, **shown}
        # A missing key is refused like an extra one: which keys are there would be a message.
        if set(arrays) != set(forms) or set(facts) != set(self.facts):
            raise NotReleased("the answer holds other arrays or facts than may leave")
        if not all(form.fits(arrays[key]) for key, form in forms.items()):
            raise NotReleased("an array has another type or size than may leave")
        if not all(form.fits(facts[key]) for key, form in self.facts.items()):
            raise NotReleased("a fact has another type or range than may leave")
        return arrays, facts


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large the parts of a run are.

    Args:
        layout: Of the federated vector.
        statistics: Entries of the statistics.
        evaluation: Entries of the evaluation counts.
        contribution: What is sent in a round besides these counts.
    """

    layout: Layout
    statistics: int
    evaluation: int
    contribution: Contribution = field(default_factory=UpdateVector)


def introduction(site: str, charter: Charter, layout: Layout, *, announces: bool) -> ReplyForm:
    """Return what a site says of itself when it joins, in any mode.

    Args:
        site: Which one.
        charter: The members.
        layout: Of the vector that it would train.
        announces: Whether it also announces that it takes part, to the other members.
    """
    described = described_bytes(layout)
    signed = SIGNATURE_SIZE if site in charter.identities else 0
    return ReplyForm(
        arrays={
            "layout": opaque(described, least=described),
            # Empty here: the audit log fills it in behind this check, the app cannot.
            "anchor": opaque(0),
            "proof": opaque(signed, least=signed),
            **({"announcement": opaque(MAX_ANNOUNCEMENT_BYTES, least=1)} if announces else {}),
        },
        facts={
            "site": FixedText(site),
            "charter": FixedText(charter.fingerprint),
            "num-examples": IntRange(0, charter.floors.max_examples),
        },
    )


def described_bytes(layout: Layout) -> int:
    """Return how many bytes describe a layout."""
    return len(messages.layout_bytes(layout))


def comparison(charter: Charter) -> dict[str, ReplyForm]:
    """Return what a site says of others before a run in which ledgers are compared."""
    others = len(charter.members) * (MAX_ATTESTATION_BYTES + _NAME_BYTES)
    return {
        comparison_messages.ATTEST: ReplyForm(arrays={"parts": opaque(others, least=1)}),
        comparison_messages.COMPARE: ReplyForm(),
    }
