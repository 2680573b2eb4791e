"""What a hub added of a question: checked as a whole, and added as a whole or not at all.

The coordinator of the run checks of each upload what it would check without a hub, but for the
upload itself: that was at the hub. That a sum is that of the signed uploads the sites see by its
checksum, and an auditor by adding the uploads again that the hub kept.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from privacy.errors import ConsortiumError
from privacy.protocol.envelope import Receipt
from privacy.protocol.hub_sums import HubSum, receipts_digest
from privacy.wire.hub_messages import HubPart
from strategies.coordinator.encrypted.rounds.ciphertext_sums import CiphertextSums
from strategies.coordinator.messaging.reply_validation import ReplyRefused


class HubSumRefused(ReplyRefused, code="hub-sum-refused"):
    """The sum of a hub is not as agreed: none of the uploads that are in it counts."""


@dataclass(frozen=True, kw_only=True)
class AgreedHubs:
    """The hubs that the members agreed on.

    Args:
        charter: Fingerprint of the charter, 32 bytes; empty if there are no hubs.
        keys: The Ed25519 public key of each hub.
        members: The members behind each hub.
    """

    charter: bytes = b""
    keys: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    members: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))


NO_HUBS = AgreedHubs()


@dataclass(frozen=True, kw_only=True)
class CheckedSum:
    """A sum of a hub that may be added.

    Args:
        purpose: Of the uploads.
        summed: The sum.
        receipts: The checked receipts of its uploads.
        statement: The hub's signed statement, encoded.
    """

    purpose: str
    summed: bytes = field(repr=False)
    receipts: tuple[Receipt, ...]
    statement: bytes


@dataclass
class HubParts:
    """The parts of hubs that one question met, each taken once."""

    _met: dict[int, tuple[HubPart, str]] = field(default_factory=dict)

    def admit(self, part: HubPart, take: Callable[[HubPart], None]) -> None:
        """Take a part when the first of its answers comes.

        Args:
            part: What a hub added.
            take: Checks and adds it, or raises and adds nothing.

        Raises:
            HubSumRefused: It was not taken, for this answer or for an earlier one.
        """
        if id(part) not in self._met:
            self._met[id(part)] = part, _code_of(part, take)
        code = self._met[id(part)][1]
        if code:
            raise HubSumRefused(f"the sum of {part.hub} is not as agreed: {code}")


def _code_of(part: HubPart, take: Callable[[HubPart], None]) -> str:
    try:
        take(part)
    except ConsortiumError as error:
        return error.code
    return ""


def check_part(
    part: HubPart,
    receipts: Mapping[str, Mapping[str, Receipt]],
    sums: Mapping[str, CiphertextSums],
    hubs: AgreedHubs,
) -> tuple[CheckedSum, ...]:
    """Return the sums of a part, if there is exactly one for each purpose and bucket.

    Guarantee: each is signed by the hub, for exactly these receipts, and can be added.

    Args:
        part: What a hub added.
        receipts: The checked receipts of its members, by site and purpose.
        sums: What they are added to, by purpose.
        hubs: The hubs that the members agreed on.

    Raises:
        HubSumRefused: A sum is missing, too many or of other receipts; a member stands behind
            another hub, or its upload was added before.
        BadSignature, MalformedEnvelope: The hub did not sign, or signed something else.
        MalformedCiphertext, TooManyUploads: A sum cannot be added.
    """
    behind = hubs.members.get(part.hub, frozenset())
    again = [site for site in receipts if any(site in one.added for one in sums.values())]
    if not behind.issuperset(receipts) or again:
        raise HubSumRefused("a hub adds the uploads of its own members, each once")
    wanted = _by_bucket(receipts)
    checked = tuple(_checked(part, at, wanted, sums, hubs) for at in range(len(part.sums)))
    told = {(one.purpose, one.receipts[0].label.bucket) for one in checked}
    if told != set(wanted) or len(told) < len(checked):
        raise HubSumRefused("a hub brings one sum for each purpose and bucket of its members")
    return checked


def _checked(
    part: HubPart,
    at: int,
    wanted: Mapping[tuple[str, int], Sequence[Receipt]],
    sums: Mapping[str, CiphertextSums],
    hubs: AgreedHubs,
) -> CheckedSum:
    signed = part.sums[at]
    said = HubSum.decode(signed.statement)
    said.require_signed(hubs.keys[part.hub])
    purpose = said.slot.purpose
    of = wanted.get((purpose, said.bucket), ())
    if purpose not in sums or not of:
        raise HubSumRefused("a hub brings no sum of what nobody asked for")
    said.slot.require_slot(sums[purpose].slot)
    facts = (
        hubs.charter,
        part.hub,
        tuple(sorted(receipt.label.site for receipt in of)),
        receipts_digest(of),
        hashlib.sha256(signed.summed).digest(),
    )
    if facts != (said.charter, said.hub, said.sites, said.receipts, said.summed):
        raise HubSumRefused("the hub signed another sum, or one of other receipts")
    sums[purpose].check_sum(signed.summed, of)
    return CheckedSum(
        purpose=purpose, summed=signed.summed, receipts=tuple(of), statement=signed.statement
    )


def _by_bucket(
    receipts: Mapping[str, Mapping[str, Receipt]],
) -> Mapping[tuple[str, int], list[Receipt]]:
    found: defaultdict[tuple[str, int], list[Receipt]] = defaultdict(list)
    for by_purpose in receipts.values():
        for purpose, receipt in by_purpose.items():
            found[purpose, receipt.label.bucket].append(receipt)
    return found
