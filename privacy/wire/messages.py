"""The messages between coordinator and sites in the clear, as both ends write and read them.

Both ends use this module, so a key has the same meaning at both.
"""

import hashlib
import json
import struct
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from flwr.app import ArrayRecord, RecordDict
from numpy.typing import NDArray

from privacy.compression.counts_form import pack_counts, packed_counts_bytes, unpack_counts
from privacy.compression.update_form import UpdateForm
from privacy.identity.public_identity import SIGNATURE_SIZE
from privacy.layout import Layout, Tally
from privacy.protocol.announcements import MAX_ANNOUNCEMENT_BYTES
from privacy.protocol.membership_proof import CHALLENGE_SIZE
from privacy.wire import flower_records as wire

HELLO = "query.hello"
STATISTICS = "query.statistics"
TRAIN = "train"
EVALUATE = "evaluate"

_SITE = "site"
_CHARTER = "charter"
_RUN = "run"
_LAYOUT = "layout"
_ANCHOR = "anchor"
_ROUND = "round"
_STATE = "state"
_STATISTICS = "statistics"
_SCORE_BINS = "score-bins"
_INSISTS = "insists"
_UPDATE = "update"
_PACKED = "packed"
_SUMMED = "summed"
_TALLY = "tally"
_NUM_EXAMPLES = "num-examples"
_RELEASED = "released"
_CHALLENGE = "challenge"
_PROOF = "proof"
_ANNOUNCEMENT = "announcement"

_KEPT = struct.Struct("<QQQ")  # examples, released + 2 * exact integers, bytes of the update
_IS_PACKED = 1 << 62  # beside the exact integers: the update is kept as it travels
_NAME_LENGTH = 64
_RUN_LENGTH = 200
_LARGEST_ROUND = 2**31
_NO_UPDATE = np.zeros(0, np.float32)
_NO_TALLY = np.zeros(0, np.int64)
_MAX_LAYOUT_BYTES = 4_000_000
MAX_ANCHOR_BYTES = 512


@dataclass(frozen=True, kw_only=True)
class Introduction:
    """How a site introduces itself.

    Args:
        site: Its name in the charter.
        charter: Fingerprint of the charter that it signed.
        layout: Layout of the vector that it would train.
        num_examples: Number of its training examples, as its policy lets it leave.
        anchor: Signed head of its log; see `privacy.audit.signed_head`. The policy gate adds it.
        proof: Signature over the coordinator's challenge; see
            `privacy.protocol.membership_proof`. Empty if the charter holds no keys.
        announcement: See `privacy.protocol.announcements`. Empty if ledgers are not compared.
    """

    site: str
    charter: str
    layout: Layout
    num_examples: int
    anchor: bytes = b""
    proof: bytes = b""
    announcement: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Position:
    """The position of a run: all that a site needs to train or evaluate, without stored state.

    Args:
        charter: Fingerprint of the charter that the run is bound to.
        run: Name of the run, so that two runs share no answer.
        server_round: The round, from 1.
        state: The federated vector, shape (dim,), float32 numbers.
        statistics: The pooled statistics, shape (size,).
        score_bins: By which scores are counted; empty if bins are always the same.
        insists: Whether a site is to train that has said that it has nothing new.
    """

    charter: str
    run: str
    server_round: int
    state: NDArray[np.floating]
    statistics: Tally
    score_bins: bytes = b""
    insists: bool = False

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of state and statistics, all numbers that a round starts from; 32 bytes."""
        digest = hashlib.sha256(np.ascontiguousarray(self.state, "<f4").data)
        digest.update(np.ascontiguousarray(self.statistics, "<i8").data)
        return digest.digest()


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """A site's reply to training.

    Args:
        update: The update, shape (dim,), float32 on the wire; not checked for NaN. Empty if exact
            integers are sent.
        num_examples: Number of training examples behind it.
        tally: Evaluation counts of the state that the site received, shape (size,).
        released: Whether the site releases its own figures.
        summed: Exact integers in place of an update, to be added to those of the other sites.
        packed: The update as it travels, in a run whose updates have a form of their own; `update`
            is empty then, until the coordinator has read it.
    """

    update: NDArray[np.floating]
    num_examples: int
    tally: Tally
    released: bool
    summed: Tally = field(default_factory=lambda: _NO_TALLY)
    packed: bytes = b""

    @property
    def summand(self) -> NDArray[np.floating] | Tally:
        """What is added up in the round: the update, or the exact integers."""
        return self.summed if self.summed.size else self.update

    def encode(self) -> bytes:
        """Return the contribution as bytes for the site to store; the inverse of `decode`."""
        update = self.packed or np.ascontiguousarray(self.update, "<f4").tobytes()
        flags = int(self.released) + 2 * self.summed.size + (_IS_PACKED if self.packed else 0)
        counted = np.concatenate([self.summed, self.tally], dtype="<i8")
        head = _KEPT.pack(self.num_examples, flags, len(update))
        return b"".join([head, update, counted.data])

    @classmethod
    def decode(cls, kept: bytes) -> "Contribution":
        """Parse what `encode` wrote, from a file of the site's own, so trusted."""
        num_examples, flags, length = _KEPT.unpack_from(kept)
        end = _KEPT.size + length
        counted: Tally = np.frombuffer(kept, "<i8", -1, end)
        is_packed, flags = bool(flags & _IS_PACKED), flags & ~_IS_PACKED
        return cls(
            update=(
                _NO_UPDATE if is_packed else np.frombuffer(kept, "<f4", length // 4, _KEPT.size)
            ),
            packed=kept[_KEPT.size : end] if is_packed else b"",
            num_examples=num_examples,
            tally=counted[flags // 2 :],
            released=bool(flags % 2),
            summed=counted[: flags // 2],
        )


@dataclass(frozen=True, kw_only=True)
class Counts:
    """A site's reply to a question that asks for counts only.

    Args:
        tally: The counts, shape (size,).
        released: Whether the site releases its own figures.
    """

    tally: Tally
    released: bool


def greeting(charter: str, challenge: bytes) -> RecordDict:
    """Return the question that asks a node who it is.

    Args:
        charter: Fingerprint of the charter that the run is bound to.
        challenge: 32 random bytes, for the site to sign.
    """
    return wire.content({}, {_CHARTER: charter, _CHALLENGE: challenge.hex()})


def read_greeting(record: RecordDict) -> tuple[str, bytes]:
    """Return the charter's fingerprint and the challenge of a `greeting`."""
    _, facts = wire.read_content(
        record, arrays=frozenset(), facts=frozenset({_CHARTER, _CHALLENGE})
    )
    charter = wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH)
    return charter, _challenge(wire.fact_str(facts, _CHALLENGE, at_most=2 * CHALLENGE_SIZE))


def question(charter: str) -> RecordDict:
    """Return a question that holds only the charter, such as the one for statistics."""
    return wire.content({}, {_CHARTER: charter})


def read_question(record: RecordDict) -> str:
    """Return the charter's fingerprint that a `question` is bound to."""
    _, facts = wire.read_content(record, arrays=frozenset(), facts=frozenset({_CHARTER}))
    return wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH)


def layout_bytes(layout: Layout) -> bytes:
    """Return a layout in its wire form, JSON."""
    return json.dumps(layout.describe()).encode()


def introduction(said: Introduction) -> RecordDict:
    """Return a site's answer to hello."""
    arrays = {
        _LAYOUT: wire.bytes_array(layout_bytes(said.layout)),
        _ANCHOR: wire.bytes_array(said.anchor),
        _PROOF: wire.bytes_array(said.proof),
    }
    if said.announcement:
        arrays[_ANNOUNCEMENT] = wire.bytes_array(said.announcement)
    return wire.content(
        arrays,
        {_SITE: said.site, _CHARTER: said.charter, _NUM_EXAMPLES: said.num_examples},
    )


def introduction_with_anchor(record: RecordDict, anchor: bytes) -> RecordDict:
    """Return the introduction with the signed head of the site's log."""
    arrays, facts = wire.arrays_and_facts(record)
    anchored_arrays = ArrayRecord({**arrays, _ANCHOR: wire.bytes_array(anchor)})
    return RecordDict({wire.ARRAYS: anchored_arrays, wire.FACTS: facts})


def read_introduction(record: RecordDict, *, max_examples: int) -> Introduction:
    """Parse what `introduction` wrote; raise MalformedRecord or LayoutMismatch if it is not."""
    optional = {_ANNOUNCEMENT} & set(wire.arrays_and_facts(record)[0])
    arrays, facts = wire.read_content(
        record,
        arrays=frozenset({_LAYOUT, _ANCHOR, _PROOF} | optional),
        facts=frozenset({_SITE, _CHARTER, _NUM_EXAMPLES}),
    )
    described_layout = wire.read_bytes(arrays[_LAYOUT], at_most=_MAX_LAYOUT_BYTES)
    return Introduction(
        site=wire.fact_str(facts, _SITE, at_most=_NAME_LENGTH),
        charter=wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH),
        layout=Layout.from_description(_parse_json(described_layout)),
        num_examples=wire.fact_int(facts, _NUM_EXAMPLES, low=0, high=max_examples),
        anchor=wire.read_bytes(arrays[_ANCHOR], at_most=MAX_ANCHOR_BYTES),
        proof=wire.read_bytes(arrays[_PROOF], at_most=SIGNATURE_SIZE),
        announcement=b"".join(
            wire.read_bytes(arrays[one], at_most=MAX_ANNOUNCEMENT_BYTES) for one in optional
        ),
    )


def position(stands: Position) -> RecordDict:
    """Return the content of a `train` or `evaluate` message."""
    bins = {_SCORE_BINS: wire.bytes_array(stands.score_bins)} if stands.score_bins else {}
    return wire.content(
        {
            _STATE: wire.vector_array(stands.state),
            _STATISTICS: wire.tally_array(stands.statistics),
            **bins,
        },
        {
            _CHARTER: stands.charter,
            _RUN: stands.run,
            _ROUND: stands.server_round,
            **({_INSISTS: 1} if stands.insists else {}),
        },
    )


def read_position(
    record: RecordDict, *, dim: int, statistics_size: int, bins_size: int = 0
) -> Position:
    """Parse what `position` wrote; raise MalformedRecord for anything else.

    Args:
        record: From a peer, not trusted.
        dim: Numbers in the state.
        statistics_size: Entries of the statistics.
        bins_size: Bytes of the score bins; 0 if bins are always the same.
    """
    optional = {_INSISTS} & set(wire.arrays_and_facts(record)[1])
    arrays, facts = wire.read_content(
        record,
        arrays=frozenset({_STATE, _STATISTICS, *([_SCORE_BINS] if bins_size else [])}),
        facts=frozenset({_CHARTER, _RUN, _ROUND} | optional),
    )
    return Position(
        charter=wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH),
        run=wire.fact_str(facts, _RUN, at_most=_RUN_LENGTH),
        server_round=wire.fact_int(facts, _ROUND, low=1, high=_LARGEST_ROUND),
        state=wire.read_vector(arrays[_STATE], dim=dim),
        statistics=wire.read_tally(arrays[_STATISTICS], size=statistics_size),
        score_bins=wire.read_bytes(arrays[_SCORE_BINS], at_most=bins_size) if bins_size else b"",
        insists=any(wire.fact_int(facts, one, low=1, high=1) for one in optional),
    )


def contribution(sent: Contribution) -> RecordDict:
    """Return the content of a reply to `train`; counts beside a packed update are packed, too."""
    counted = wire.tally_array(sent.tally)
    if sent.packed:
        summand = {_PACKED: wire.bytes_array(sent.packed)}
        counted = wire.bytes_array(pack_counts(sent.tally))
    elif sent.summed.size:
        summand = {_SUMMED: wire.tally_array(sent.summed)}
    else:
        summand = {_UPDATE: wire.vector_array(sent.update)}
    return wire.content(
        {**summand, _TALLY: counted},
        {_NUM_EXAMPLES: sent.num_examples, _RELEASED: int(sent.released)},
    )


def read_contribution(
    record: RecordDict,
    *,
    dim: int,
    tally_size: int,
    max_examples: int,
    summed_size: int = 0,
    form: UpdateForm | None = None,
) -> Contribution:
    """Parse what `contribution` wrote; raise MalformedRecord or BadCompression if it is not.

    Args:
        record: From a site, not trusted.
        dim: Numbers in an update.
        tally_size: Evaluation counts.
        max_examples: Most training examples that a site may claim.
        summed_size: Exact integers that are agreed in place of an update; 0 for an update.
        form: In which an update travels; None for one number after another. With one, the counts
            are packed as well.
    """
    summand = _SUMMED if summed_size else _UPDATE if form is None else _PACKED
    arrays, facts = wire.read_content(
        record,
        arrays=frozenset({summand, _TALLY}),
        facts=frozenset({_NUM_EXAMPLES, _RELEASED}),
    )
    update, summed, tally = _NO_UPDATE, _NO_TALLY, None
    if summed_size:
        summed = wire.read_tally(arrays[summand], size=summed_size)
    elif form is not None:
        update = form.read(wire.read_bytes(arrays[summand], at_most=form.num_bytes))
        most = packed_counts_bytes(tally_size)[0]
        tally = unpack_counts(wire.read_bytes(arrays[_TALLY], at_most=most), tally_size)
    else:
        update = wire.read_vector(arrays[summand], dim=dim)
    least = 0 if summed_size else 1  # a site without records counts nothing, and says so
    return Contribution(
        update=update,
        num_examples=wire.fact_int(facts, _NUM_EXAMPLES, low=least, high=max_examples),
        tally=wire.read_tally(arrays[_TALLY], size=tally_size) if tally is None else tally,
        released=bool(wire.fact_int(facts, _RELEASED, low=0, high=1)),
        summed=summed,
    )


def counts(sent: Counts) -> RecordDict:
    """Return the content of a reply that holds a tally only."""
    return wire.content({_TALLY: wire.tally_array(sent.tally)}, {_RELEASED: int(sent.released)})


def read_counts(record: RecordDict, *, tally_size: int) -> Counts:
    """Parse what `counts` wrote; raise MalformedRecord for anything else."""
    arrays, facts = wire.read_content(
        record, arrays=frozenset({_TALLY}), facts=frozenset({_RELEASED})
    )
    return Counts(
        tally=wire.read_tally(arrays[_TALLY], size=tally_size),
        released=bool(wire.fact_int(facts, _RELEASED, low=0, high=1)),
    )


def _challenge(text: str) -> bytes:
    if len(text) != 2 * CHALLENGE_SIZE or set(text) - set("0123456789abcdef"):
        raise wire.MalformedRecord(
            f"a challenge must be {2 * CHALLENGE_SIZE} lower-case hex digits"
        )
    return bytes.fromhex(text)


def _parse_json(data: bytes) -> object:
    try:
        parsed: object = json.loads(data)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError too
        raise wire.MalformedRecord("a layout must be described in JSON") from error
    return parsed
