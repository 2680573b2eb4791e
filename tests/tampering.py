"""What can be done to messages by who carries them, or by who seals what is in them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict
from numpy.typing import NDArray

from consortium.client.encrypted.session import Session
from consortium.protocol.parameters import upload_header
from privacy import canonical
from privacy.encryption.ciphertext_sum import Adder, summed_rows, unpack_polynomials
from privacy.encryption.parameters import Placement
from privacy.encryption.quantisation import Levels, quantise
from privacy.encryption.seal_serialisation import pack
from privacy.layout import Tally
from privacy.protocol.envelope import TRAINING, Receipt, UploadLabel
from privacy.protocol.upload import upload_digest
from privacy.secrets.linear_mac import Checksum, upload_pad
from privacy.secrets.packing import Integers
from privacy.secrets.sealer import Sealer
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from scenarios.engines.in_process import Vanished
from tests.small_consortium import (
    Consortium,
    Course,
    Hook,
    Passing,
    Place,
    configured,
    read_reply,
    read_round,
    refusal,
)

Numbers = NDArray[np.object_]


def added(placement: Placement, uploads: Iterable[bytes]) -> bytes:
    """Return the sum of uploads, as an honest coordinator adds them."""
    adder = Adder(placement)
    for upload in uploads:
        adder.add(upload)
    return adder.sum()


def numbers(summed: bytes, placement: Placement) -> Numbers:
    """Return the numbers of a sum: (num_ciphertexts, 2, degree), Python integers."""
    rows = summed_rows(summed, placement)
    both = np.empty((2, placement.parameters.degree), np.uint64)
    return np.stack(
        [unpack_polynomials(row, placement.parameters, both).astype(object).copy() for row in rows]
    )


def as_sum(values: Numbers, placement: Placement) -> bytes:
    """Return numbers, whatever they are, in the form of a sum."""
    parameters = placement.parameters
    words = (values % parameters.prime).astype(np.uint64)
    packed = np.empty((2, parameters.packed_words), "<u8")
    return placement.sum_marker + b"".join(pack(row, packed).tobytes() for row in words)


def with_constant(summed: bytes, placement: Placement, *, amount: int = 1) -> bytes:
    """Return a sum with a constant added to its first plaintext coefficient: needs no key."""
    parameters = placement.parameters
    values = numbers(summed, placement)
    values[0, 0, 0] += (parameters.prime * amount) >> parameters.plain_bits
    return as_sum(values, placement)


def scaled(summed: bytes, placement: Placement, factor: int) -> bytes:
    """Return a sum multiplied by a whole number: needs no key."""
    return as_sum(numbers(summed, placement) * factor, placement)


def combined(placement: Placement, *parts: tuple[int, bytes]) -> bytes:
    """Return a linear combination of single uploads: needs no key."""
    total = sum(factor * numbers(added(placement, [one]), placement) for factor, one in parts)
    return as_sum(np.asarray(total, object), placement)


def forged(
    session: Session,
    said: UploadLabel,
    *,
    levels: Levels | None = None,
    tally: Tally | None = None,
    shift: int = 0,
) -> tuple[bytes, bytes]:
    """Return an upload with its receipt as a site makes them that follows no rule.

    Args:
        session: Of the hostile site: its keys.
        said: The label.
        levels: What it seals, within bounds or not; zeros if not said.
        tally: Likewise.
        shift: What it adds to its tag.
    """
    slot = said.slot
    agreed = (
        session.terms.updates if slot.purpose == TRAINING else session.terms.counts(slot.purpose)
    )
    checksum = Checksum(
        session.terms.opened.keys.checksum,
        canonical.text(slot.purpose) + canonical.number(slot.server_round),
        num_rows=agreed.num_ciphertexts,
        row_length=agreed.parameters.degree,
    )
    with pytest.MonkeyPatch.context() as unbound:
        unbound.setattr(Integers, "within_range", lambda _self, *, uploads: uploads > 0)
        upload = Sealer(session.terms.secret, agreed, checksum).seal(
            np.zeros(agreed.dim, np.int32) if levels is None else levels,
            np.zeros(agreed.tally_size, np.int64) if tally is None else tally,
            pad=upload_pad(session.terms.opened.keys.pad, said.encode()) + shift,
        )
    return upload, signed_by(session, said, upload).encode()


def signed_by(session: Session, said: UploadLabel, upload: bytes) -> Receipt:
    """Return the receipt for an upload, signed by the session's site."""
    site, slot = session.terms.site, said.slot
    agreed = (
        session.terms.updates if slot.purpose == TRAINING else session.terms.counts(slot.purpose)
    )
    header = upload_header(said, site.run_config, site.task.layout, agreed)
    digest = upload_digest(header, [upload])
    return Receipt.sign(said, upload=digest, sign=session.terms.member.identity.sign)


def relabelled(receipt: Receipt, sign: Callable[[bytes], bytes], **changes: Any) -> Receipt:
    """Return a receipt whose label says something else, signed by who has the key."""
    return Receipt.sign(replace(receipt.label, **changes), upload=receipt.upload, sign=sign)


def own_levels(session: Session, request: SealedRound) -> Levels:
    """Return the levels that the site would honestly have sealed."""
    given = session.answers.contribution(request)
    assert given is not None
    return quantise(
        np.asarray(given.update, np.float64),
        weight_class=session.terms.weight_class(given.num_examples),
        scales=session.terms.step.scales(session.standing(request).state),
        parameters=session.terms.updates.parameters,
    )


def spoiled_tag(session: Session, request: SealedRound, sent: SealedReply) -> SealedReply:
    """Return a reply whose update is right but for its tag: the lie of a `Liar`."""
    label = Receipt.decode(sent.receipt).label
    upload, receipt = forged(session, label, levels=own_levels(session, request), shift=1)
    return replace(sent, upload=upload, receipt=receipt)


def absent(site: str, kind: str, *numbers: int) -> Hook:
    """Return a hook that keeps messages of a kind, in some rounds, from ever reaching a site."""

    def hook(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) == (site, kind) and passing.number in numbers:
            raise Vanished
        return passing.content

    return hook


def both(first: Hook, second: Hook) -> Hook:
    """Return a hook that does what two do, one after the other."""
    return lambda passing: second(replace(passing, content=first(passing)))


@dataclass
class Liar:
    """A hostile site: it answers what it likes, and has all the keys that a site has.

    Args:
        consortium: Where it is.
        name: Which site it is.
        kind: The messages it lies to.
        lie: From its session, what it was asked and its honest answer to what it sends.
        overrides: Of the run config.
    """

    consortium: Consortium
    name: str
    kind: str
    lie: Callable[[Session, SealedRound, SealedReply], SealedReply]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    asked: SealedRound | None = None

    def down(self, passing: Passing) -> RecordDict:
        """Remember what was asked."""
        if (passing.site, passing.kind) == (self.name, self.kind):
            self.asked = read_round(passing.content)
        return passing.content

    def up(self, passing: Passing) -> RecordDict:
        """Answer something else."""
        theirs = (passing.site, passing.kind) != (self.name, self.kind)
        if theirs or self.asked is None or refusal(passing.content):
            return passing.content
        place = Place(self.consortium.run.site(self.name), configured(self.overrides))
        session = place.session(self.asked)
        return self.lie(session, self.asked, read_reply(passing.content)).content()

    def run(self) -> Course:
        """Run with it among the others."""
        return self.consortium.start(down=self.down, up=self.up, **self.overrides)
