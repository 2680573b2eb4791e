"""What a masked run agrees on beside an encrypted one."""

from pathlib import Path
from typing import Any

import pytest

from privacy.protocol.masks.groups import (
    ample_confirmations,
    confirmations_needed,
    smallest_sum,
    witnesses,
)
from strategies.coordinator.masked.parameters import MaskedTerms
from tests.small_consortium import NAMES, Consortium, Course


@pytest.fixture
def terms(tmp_path: Path) -> MaskedTerms:
    made = Consortium.placed(tmp_path).strategy(Course(), masks=True)._terms
    assert isinstance(made, MaskedTerms)
    return made


def test_a_sum_holds_enough_sites_for_the_charter_and_against_those_in_league(
    terms: MaskedTerms,
) -> None:
    assert terms.max_colluders == 1
    assert terms.floor == smallest_sum(1, terms.agreement.min_others) == 3


def test_the_witnesses_and_their_number_are_those_that_the_sites_compute(
    terms: MaskedTerms,
) -> None:
    assert terms.witnesses(NAMES) == witnesses(NAMES)
    assert terms.confirmations_needed(4) == confirmations_needed(4, 1) == 3
    assert terms.ample_confirmations(6) == ample_confirmations(6, 1) == 5


def test_without_noise_a_bucket_sums_one_set_of_sites(terms: MaskedTerms, tmp_path: Path) -> None:
    assert terms.one_set
    private: dict[str, Any] = {"dp.unit": "person", "dp.noise-multiplier": 1.0, "dp.steps": 1}
    noisy = Consortium.placed(tmp_path / "noisy").strategy(Course(), masks=True, **private)
    assert isinstance(noisy._terms, MaskedTerms)
    assert not noisy._terms.one_set
