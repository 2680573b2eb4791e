"""A sum that a coordinator forged with the keys of one member is found."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict

from consortium.config import Scalar
from privacy.protocol.envelope import TRAINING
from tests.carrier import Carrier, staged
from tests.small_consortium import (
    NAMES,
    Consortium,
    Passing,
    altered,
    forget_processes,
    read_round,
)
from tests.tampering import added, as_sum, numbers


def forged_by_east(
    consortium: Consortium,
    carrier: Carrier,
    content: RecordDict,
    number: int,
    config: Mapping[str, Scalar],
) -> RecordDict:
    """Return a question whose sum holds what no receipt names, and whose checksum is right."""
    session = consortium.place("east", **config).session(read_round(content))
    placement = session.terms.updates
    wanted = np.full(placement.dim, placement.parameters.levels // 2, np.int32)
    nothing = np.zeros(0, np.int64)
    planted = session.terms.sealer(TRAINING, number, placement).seal(wanted, nothing, pad=0)
    honest = added(placement, [carrier.replies[name, number].upload for name in NAMES])
    forged = numbers(honest, placement) + numbers(added(placement, [planted]), placement)
    return altered(content, sums=as_sum(forged, placement))


def test_the_audit_finds_a_sum_that_was_forged_with_a_members_keys(tmp_path: Path) -> None:
    """East is in league: to the true sum is added what no receipt names, and all sites open it."""
    forget_processes()
    consortium, carrier = Consortium.placed(tmp_path / "run"), Carrier()

    def down(passing: Passing) -> RecordDict:
        if passing.kind != "evaluate":
            return passing.content
        return forged_by_east(consortium, carrier, passing.content, 1, {"num_server_rounds": 1})

    course = consortium.start(down=down, up=carrier.up, num_server_rounds=1)
    staged(so=course.error is None, what="the sites refused the forged sum")
    assert consortium.audited() == {
        "statistics 0": "",
        "updates 1": "the coordinator signed another sum for east, north, south, west than that "
        "of the signed uploads",
        "counts 1": "",
        "counts 2": "",
    }


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_forgery_is_found_in_any_round_whose_uploads_are_kept(
    tmp_path: Path, number: int
) -> None:
    """With `keep-uploads` of all; without, the audit says which rounds it cannot decide."""
    forget_processes()
    consortium, carrier = Consortium.placed(tmp_path / "run"), Carrier()
    config: dict[str, Any] = {"num_server_rounds": 4, "keep_uploads": "all"}

    def down(passing: Passing) -> RecordDict:
        if passing.kind != "train" or passing.number != number + 1:
            return passing.content
        return forged_by_east(consortium, carrier, passing.content, number, config)

    course = consortium.start(down=down, up=carrier.up, **config)
    staged(so=course.error is None, what="the sites refused the forged sum")
    wrong = {name for name, told in consortium.audited().items() if told}
    assert wrong == {f"updates {number}"}


def test_the_audit_says_which_rounds_it_cannot_decide(tmp_path: Path) -> None:
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")
    assert consortium.start(num_server_rounds=4).error is None
    auditor = consortium.auditor(*NAMES)
    assert auditor.rounds_without_uploads() == [1, 2, 3]
    assert {check.server_round for check in auditor.check_sums()} == {0, 4, 5}
