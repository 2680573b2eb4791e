"""The closed list of what may leave a site: for each kind of answer its records, keys and sizes.

The list is checked on what is about to leave, whoever made it. Nothing in an answer is free
text: a text that leaves is one that the coordinator knows already.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.protocol.parameters import count_placement, optimizer_for, update_placement
from privacy.canonical import DIGEST_SIZE, MAX_NUMBER
from privacy.encryption.parameters import Placement
from privacy.identity.public_identity import SIGNATURE_SIZE
from privacy.layout import Layout
from privacy.policy.violations import NotReleased
from privacy.protocol.envelope import MAX_ENVELOPE_BYTES
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire import messages
from privacy.wire.flower_records import ARRAYS, BYTES_TYPE, FACTS, TALLY_TYPE, VECTOR_TYPE

_STATE_OVERHEAD = 8_192
_LINK = 32  # bytes a round, in a sealed state


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
    """

    stype: str
    dtype: str
    width: int
    least: int
    most: int
    marker: bytes = b""

    def fits(self, array: Array) -> bool:
        """Return whether an array has this form."""
        came = (array.stype, array.dtype, len(array.shape))
        if came != (self.stype, self.dtype, 1) or not self.least <= array.shape[0] <= self.most:
            return False
        fits = len(array.data) == self.width * array.shape[0]
        return fits and array.data.startswith(self.marker)


def opaque(most: int, *, least: int = 0) -> ArrayForm:
    """Return the form of sealed or signed bytes."""
    return ArrayForm(BYTES_TYPE, "uint8", 1, least, most)


def sealed(placement: Placement) -> ArrayForm:
    """Return the form of ciphertexts: their exact length, and the marker they begin with."""
    size = placement.upload_bytes
    return ArrayForm(BYTES_TYPE, "uint8", 1, size, size, placement.upload_marker)


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

    def require(self, content: RecordDict) -> tuple[ArrayRecord, ConfigRecord]:
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
        shown = self.optional if facts.get("released") == 1 else {}
        forms = {**self.arrays, **shown}
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
    """

    layout: Layout
    statistics: int
    evaluation: int


def exits(site: str, charter: Charter, config: RunConfig, sizes: Sizes) -> Mapping[str, ReplyForm]:
    """Return what may leave in a run, by kind of question."""
    hello = _introduction(site, charter, sizes.layout)
    if config.aggregation == "clear":
        return {messages.HELLO: hello, **_in_the_clear(charter, sizes)}
    return {messages.HELLO: hello, **_keys(charter), **_sealed(charter, config, sizes)}


def largest_bytes(charter: Charter, config: RunConfig, sizes: Sizes) -> int:
    """Return how many bytes of arrays the largest answer of a run holds, at most."""
    if config.aggregation == "clear":
        update = 4 * sizes.layout.dim + 8 * sizes.evaluation
        return max(update, 8 * sizes.statistics, _described(sizes.layout))
    replies = _sealed(charter, config, sizes).values()
    return max(
        sum(form.most * form.width for form in (*reply.arrays.values(), *reply.optional.values()))
        for reply in replies
    )


def _introduction(site: str, charter: Charter, layout: Layout) -> ReplyForm:
    described = _described(layout)
    signed = SIGNATURE_SIZE if site in charter.identities else 0
    return ReplyForm(
        arrays={
            "layout": opaque(described, least=described),
            "anchor": opaque(0),
            "proof": opaque(signed, least=signed),
        },
        facts={
            "site": FixedText(site),
            "charter": FixedText(charter.fingerprint),
            "num-examples": IntRange(0, charter.floors.max_examples),
        },
    )


def _described(layout: Layout) -> int:
    return len(messages.layout_bytes(layout))


def _in_the_clear(charter: Charter, sizes: Sizes) -> dict[str, ReplyForm]:
    shown = {"released": IntRange(0, 1)}
    examples = IntRange(1, charter.floors.max_examples)
    counted = tally(sizes.evaluation)
    return {
        messages.STATISTICS: ReplyForm(arrays={"tally": tally(sizes.statistics)}, facts=shown),
        messages.TRAIN: ReplyForm(
            arrays={"update": vector(sizes.layout.dim), "tally": counted},
            facts={"num-examples": examples, **shown},
        ),
        messages.EVALUATE: ReplyForm(arrays={"tally": counted}, facts=shown),
    }


def _keys(charter: Charter) -> dict[str, ReplyForm]:
    held = ReplyForm(
        arrays={"fingerprint": opaque(DIGEST_SIZE)}, facts={"epoch": IntRange(0, MAX_NUMBER)}
    )
    others = len(charter.members) * (MAX_ENVELOPE_BYTES + 256)
    return {
        sealed_messages.EPOCH: held,
        sealed_messages.DELIVER: held,
        sealed_messages.ROTATE: ReplyForm(arrays={"deliveries": opaque(others)}),
        sealed_messages.OPEN: ReplyForm(
            arrays={"opening": opaque(sealed_messages.MAX_OPENING_BYTES, least=1)}
        ),
    }


def _sealed(charter: Charter, config: RunConfig, sizes: Sizes) -> dict[str, ReplyForm]:
    update = sealed(update_placement(config, charter, sizes.layout))
    state = opaque(_state_bytes(config, sizes))
    nothing, receipt = opaque(0), opaque(MAX_ENVELOPE_BYTES)

    def reply(counts: int = 0, **parts: ArrayForm) -> ReplyForm:
        held = sealed(count_placement(config, charter, counts)) if counts else nothing
        forms = dict.fromkeys(("upload", "receipt", "state", "model"), nothing)
        counted = {"count-upload": held, "count-receipt": receipt if counts else nothing}
        return ReplyForm(
            arrays={**forms, **counted, **parts},
            facts={"released": IntRange(0, 1)},
            optional={"tally": tally(sizes.evaluation)},
        )

    return {
        messages.STATISTICS: reply(sizes.statistics),
        messages.TRAIN: reply(sizes.evaluation, upload=update, receipt=receipt, state=state),
        messages.EVALUATE: reply(sizes.evaluation, state=state, model=opaque(DIGEST_SIZE)),
        sealed_messages.RELEASE: reply(),
    }


def _state_bytes(config: RunConfig, sizes: Sizes) -> int:
    vectors = 2 + len(optimizer_for(config).init(1))  # the model, perhaps the rule's memory
    numbers = 4 * sizes.layout.dim * vectors + 4 * len(sizes.layout.fields)
    return numbers + 8 * sizes.statistics + _LINK * (config.num_server_rounds + 2) + _STATE_OVERHEAD
