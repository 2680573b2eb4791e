"""What can be done to ciphertexts and receipts by who carries them, or by who seals them."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consortium.session import Session
from consortium.terms import upload_header
from privacy import canonical
from privacy.checksum import Checksum, pad
from privacy.envelope import TRAINING, Receipt, UploadLabel
from privacy.homomorphic import Adder, polynomials, summed_rows
from privacy.layout import Tally
from privacy.levels import Levels
from privacy.parameters import Placement
from privacy.sealing import Sealer
from privacy.stream import pack
from privacy.upload import upload_digest

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
        [polynomials(row, placement.parameters, both).astype(object).copy() for row in rows]
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
    wider: Placement | None = None,
) -> tuple[bytes, bytes]:
    """Return an upload with its receipt as a site makes them that follows no rule.

    Args:
        session: Of the hostile site: its keys.
        said: The label.
        levels: What it seals; zeros if not said.
        tally: Likewise.
        shift: What it adds to its tag.
        wider: A placement with wider bounds than the agreed one, to seal what nobody may.
    """
    slot = said.slot
    agreed = session.updates if slot.purpose == TRAINING else session.counts(slot.purpose)
    checksum = Checksum(
        session.opened.keys.checksum,
        canonical.text(slot.purpose) + canonical.number(slot.server_round),
        num_rows=agreed.num_ciphertexts,
        row_length=agreed.parameters.degree,
    )
    sealed = Sealer(session._secret, wider or agreed, checksum).seal(
        np.zeros(agreed.dim, np.int32) if levels is None else levels,
        np.zeros(agreed.tally_size, np.int64) if tally is None else tally,
        pad=pad(session.opened.keys.pad, said.encode()) + shift,
    )
    upload = agreed.upload_marker + sealed[len(agreed.upload_marker) :]
    return upload, signed_by(session, said, upload).encode()


def signed_by(session: Session, said: UploadLabel, upload: bytes) -> Receipt:
    """Return the receipt for an upload, signed by the session's site."""
    site, slot = session.site, said.slot
    agreed = session.updates if slot.purpose == TRAINING else session.counts(slot.purpose)
    header = upload_header(said, site.run_config, site.task.layout, agreed)
    digest = upload_digest(header, [upload])
    return Receipt.signed(said, upload=digest, sign=session.member.identity.sign)


def relabelled(receipt: Receipt, sign: Callable[[bytes], bytes], **changes: Any) -> Receipt:
    """Return a receipt whose label says something else, signed by who has the key."""
    return Receipt.signed(replace(receipt.label, **changes), upload=receipt.upload, sign=sign)
