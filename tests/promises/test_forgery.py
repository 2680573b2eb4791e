"""A sum that a coordinator forged with the keys of one member is found."""

from pathlib import Path

import numpy as np
import pytest
from flwr.app import RecordDict

from privacy.protocol.envelope import TRAINING
from tests.carrier import Carrier
from tests.small_consortium import (
    NAMES,
    Consortium,
    Passing,
    altered,
    forget_processes,
    read_round,
)
from tests.tampering import added, as_sum, numbers


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="part H: finds it by recomputation, part K takes the reading away",
)
def test_the_audit_finds_a_sum_that_was_forged_with_a_members_keys(tmp_path: Path) -> None:
    """East is in league: to the true sum is added what no receipt names, and all sites open it."""
    forget_processes()
    consortium, carrier = Consortium.placed(tmp_path / "run"), Carrier()

    def down(passing: Passing) -> RecordDict:
        if passing.kind != "evaluate":
            return passing.content
        east = consortium.place("east", num_server_rounds=1)
        session = east.session(read_round(passing.content))
        placement = session.terms.updates
        wanted = np.full(placement.dim, placement.parameters.levels // 2, np.int32)
        nothing = np.zeros(0, np.int64)
        planted = session.terms.sealer(TRAINING, 1, placement).seal(wanted, nothing, pad=0)
        honest = added(placement, [carrier.replies[name, 1].upload for name in NAMES])
        forged = numbers(honest, placement) + numbers(added(placement, [planted]), placement)
        return altered(passing.content, sums=as_sum(forged, placement))

    course = consortium.start(down=down, up=carrier.up, num_server_rounds=1)
    assert course.error is not None or any(consortium.audited().values())
