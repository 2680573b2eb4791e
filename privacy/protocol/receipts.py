"""The checks of a round's receipts that a site makes before it trusts the round's sums."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from privacy import canonical
from privacy.canonical import Reader
from privacy.errors import ConsortiumError, number_of
from privacy.identity.public_identity import PublicIdentity
from privacy.protocol.envelope import MAX_ENVELOPE_BYTES, Receipt, Slot
from privacy.protocol.grouping import WEIGHT_CLASSES

MAX_RECEIPTS = 1024

_RECEIPTS_TAG = b"consortium.receipts/1\n"


class NotInRoster(ConsortiumError, LookupError, code="not-in-roster"):
    """A site does not take part in this run."""


class DuplicateMember(ConsortiumError, ValueError, code="duplicate-member"):
    """A member appears in one sum twice."""


class WrongBucket(ConsortiumError, ValueError, code="wrong-bucket"):
    """A site claims another bucket than the one that the run assigned to it."""


class WrongWeightClass(ConsortiumError, ValueError, code="wrong-weight-class"):
    """A site claims a weight class that the run does not allow."""


class TooFewOthers(ConsortiumError, ValueError, code="too-few-others"):
    """A sum holds so few sites that it would reveal too much about them."""


class ReceiptMissing(ConsortiumError, ValueError, code="receipt-missing"):
    """The receipt that this site gave is not among those of the round."""


class ReceiptAltered(ConsortiumError, ValueError, code="receipt-altered"):
    """A receipt in this site's name is not the one that it gave."""


class NoMajority(ConsortiumError, ValueError, code="no-majority"):
    """No state is signed by more than half of the sites."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a site knows about a round without trusting the coordinator.

    Args:
        slot: Run, purpose, round and attempt that every receipt must name.
        roster: Public identities of the sites of the run, by name.
        buckets: The bucket of each of these sites.
        min_others: Fewest sites besides any one reader that each sum must hold.
        site: This site's name.
        own: The receipt that this site gave for the slot, or None.
        weight_classes: Weight classes that the run allows; (1,) in robust mode.
    """

    slot: Slot
    roster: Mapping[str, PublicIdentity]
    buckets: Mapping[str, int]
    min_others: int
    site: str
    own: Receipt | None
    weight_classes: Sequence[int] = WEIGHT_CLASSES


def check_receipts(
    receipts: Sequence[Receipt], expected: Expected
) -> dict[int, tuple[Receipt, ...]]:
    """Return the receipts by bucket, sorted by site within each, in whatever order they came.

    Guarantee: each receipt was signed by a different site of the roster, for exactly this slot,
    in its own bucket. Each bucket that is present holds at least `min_others` sites besides any
    one of them, so all sites reach the same verdict. This site's own receipt is the one it gave,
    unless its whole bucket is left out. The caller compares the buckets that are present with
    the sums it received, and decides whether they are enough.

    Raises:
        WrongRun, WrongPurpose, WrongRound, WrongAttempt: A receipt belongs to another slot.
        NotInRoster, DuplicateMember: Its site is not in the roster, or appears twice.
        WrongBucket, WrongWeightClass: It claims what the run does not allow.
        BadSignature: The site did not sign it.
        TooFewOthers: There are no receipts, or a bucket is below the floor.
        ReceiptAltered: This site gave another receipt, or none.
        ReceiptMissing: This site gave a receipt, and others of its bucket are present, but its
            own is not. (If the bucket is absent as a whole, it was below its floor.) This is
            raised last, when everything else holds, so that a protocol may decide that a late
            answer was rightly left out.
    """
    repeated = len(receipts) - len({receipt.label.site for receipt in receipts})
    if repeated:
        raise DuplicateMember(
            f"a site may appear in a sum once; {repeated} receipts repeat a site", repeated=repeated
        )
    for receipt in receipts:
        _check_one(receipt, expected)
    buckets = _group_by_bucket(receipts)
    _check_floor(buckets, min_others=expected.min_others)
    _check_own(receipts, expected)
    return buckets


def majority_state(states: Iterable[bytes], *, roster: int = 0) -> bytes:
    """Return the state digest that more than half of the receipts, and of the roster, sign.

    It must be more than half of the roster as well. Otherwise a coordinator could split a run
    into two halves, and show each half its own receipts only.

    Args:
        states: The state digests that the receipts of distinct sites sign.
        roster: Number of sites of the run.

    Raises:
        NoMajority: There is no such digest.
    """
    votes = Counter(states)
    for state, count in votes.most_common(1):
        if 2 * count > max(votes.total(), roster):
            return state
    raise NoMajority(
        f"{votes.total()} receipts sign {len(votes)} states, none of which has more than half of "
        f"{number_of(max(votes.total(), roster), 'site')}",
        receipts=votes.total(),
        states=len(votes),
    )


def join_receipts(encoded: Sequence[bytes]) -> bytes:
    """Join at most `MAX_RECEIPTS` encoded receipts into canonical bytes, in the given order.

    Raises:
        MalformedEnvelope: There are more.
    """
    canonical.require_number("the number of receipts", len(encoded), high=MAX_RECEIPTS)
    start = _RECEIPTS_TAG + canonical.number(len(encoded))
    return b"".join([start, *(canonical.blob(one) for one in encoded)])


class JoinedReceipts(bytes):
    """Joined receipts as one message brought them to one site: parsed once while they live."""

    @cached_property
    def decoded(self) -> tuple[Receipt, ...]:
        """The receipts; MalformedEnvelope if these bytes are none."""
        return _decode(self)


def decode_receipts(data: bytes) -> tuple[Receipt, ...]:
    """Parse what `join_receipts` wrote; raise MalformedEnvelope for anything else."""
    return data.decoded if isinstance(data, JoinedReceipts) else _decode(data)


def _decode(data: bytes) -> tuple[Receipt, ...]:
    reader = Reader(data, tag=_RECEIPTS_TAG)
    count = reader.number()
    canonical.require_number("the number of receipts", count, high=MAX_RECEIPTS)
    receipts = tuple(Receipt.decode(reader.blob(at_most=MAX_ENVELOPE_BYTES)) for _ in range(count))
    reader.end()
    return receipts


def _check_one(receipt: Receipt, expected: Expected) -> None:
    label = receipt.label
    label.slot.require_slot(expected.slot)
    if label.site not in expected.roster:
        raise NotInRoster(
            f"{label.site} is not among the {number_of(len(expected.roster), 'site')} of this run"
        )
    if label.bucket != expected.buckets[label.site]:
        raise WrongBucket(
            f"{label.site} belongs to bucket {expected.buckets[label.site]}, its receipt claims "
            f"bucket {label.bucket}",
            needed=expected.buckets[label.site],
            came=label.bucket,
        )
    if label.weight_class not in expected.weight_classes:
        raise WrongWeightClass(
            f"{label.site} claims weight class {label.weight_class}, "
            f"the run allows {tuple(expected.weight_classes)}",
            came=label.weight_class,
        )
    receipt.verify(expected.roster[label.site])


def _group_by_bucket(receipts: Sequence[Receipt]) -> dict[int, tuple[Receipt, ...]]:
    buckets: defaultdict[int, list[Receipt]] = defaultdict(list)
    for receipt in sorted(receipts, key=lambda receipt: receipt.label.site):
        buckets[receipt.label.bucket].append(receipt)
    return {bucket: tuple(buckets[bucket]) for bucket in sorted(buckets)}


def _check_floor(buckets: Mapping[int, Sequence[Receipt]], *, min_others: int) -> None:
    # "Besides any reader": a site subtracts its own update from the sum, so the sum must hold
    # `min_others` more. One rule for all readers gives all sites the same verdict.
    smallest = min((len(bucket) for bucket in buckets.values()), default=0)
    if smallest <= min_others:
        raise TooFewOthers(
            f"a sum must hold {number_of(min_others, 'site')} besides any reader, the smallest "
            f"holds {number_of(smallest, 'site')}: wait for more sites",
            needed=min_others + 1,
            came=smallest,
        )


def _check_own(receipts: Sequence[Receipt], expected: Expected) -> None:
    theirs = next((item for item in receipts if item.label.site == expected.site), None)
    bucket = expected.buckets.get(expected.site)
    counted = any(item.label.bucket == bucket for item in receipts)
    if theirs is None and expected.own is not None and counted:
        raise ReceiptMissing(f"{expected.site} gave a receipt, and it is missing from the round")
    if theirs is not None and theirs != expected.own:
        raise ReceiptAltered(
            f"the receipt in the name of {expected.site} is not the one that it gave"
        )
