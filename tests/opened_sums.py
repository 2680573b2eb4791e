"""Somebody who sees every sum that any honest site opens, in all runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from consortium.client.encrypted.session import Session
from privacy.layout import Vector
from privacy.protocol.envelope import Receipt
from privacy.secrets.sealer import Opened, Sealer
from privacy.wire.encrypted_messages import SealedRound


@dataclass(frozen=True, kw_only=True)
class OpenedSum:
    """A sum that a site opened.

    Args:
        by: The site.
        purpose: Of what.
        server_round: Of which round.
        seed: Of the run.
        sites: Who is in it.
        levels: The sum of updates, in levels; empty for counts.
    """

    by: str
    purpose: str
    server_round: int
    seed: int
    sites: frozenset[str]
    levels: Vector = field(repr=False)


@contextmanager
def opened_sums() -> Iterator[list[OpenedSum]]:
    """Note every sum that is opened."""
    open_sum, seen = Session._open, list[OpenedSum]()

    def open_and_note(
        session: Session,
        request: SealedRound,
        sealer: Sealer,
        summed: bytes | memoryview,
        receipts: Sequence[Receipt],
    ) -> Opened:
        found = open_sum(session, request, sealer, summed, receipts)
        slot = receipts[0].label.slot
        seen.append(
            OpenedSum(
                by=session.terms.site.config.name,
                purpose=slot.purpose,
                server_round=slot.server_round,
                seed=session.terms.site.run_config.seed,
                sites=frozenset(one.label.site for one in receipts),
                levels=found.levels.astype(np.float64),
            )
        )
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "_open", open_and_note)
        yield seen
