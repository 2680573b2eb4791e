"""What masks demand of a run config and a charter, and what the members are told before a run."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.charter.document import Charter, Floors, Member
from consortium.config import RunConfig, Scalar
from consortium.modes.contract import LeagueTerms, OutsideCharter
from consortium.modes.encrypted import encryption_of
from consortium.modes.registry import mode_of
from privacy.protocol.masks.groups import (
    MOST_WITNESSES,
    confirmations_needed,
    num_deaths_borne,
    smallest_sum,
)
from scenarios.library.registry import SCENARIOS

BANKS = SCENARIOS["bank-credit"].charter
PRIVATE: dict[str, Scalar] = {"dp.unit": "person", "dp.epsilon": 3.0, "weighting": "equal"}


def charter_of(num_sites: int, *, min_others: int = 2, **said: Any) -> Charter:
    members = tuple(Member(name=f"site-{place:03}") for place in range(num_sites))
    floors = Floors(min_others=min_others)
    return BANKS.model_copy(update={"members": members, "floors": floors, **said})


def masked(**settings: Scalar) -> RunConfig:
    keys = {name.replace("_", "-"): value for name, value in settings.items()}
    return RunConfig.parse({"aggregation": "encrypted", "masks": True, **keys})


@given(
    sites=st.integers(1, 60),
    buckets=st.integers(1, 8),
    colluders=st.integers(1, 10),
    others=st.integers(1, 12),
)
def test_every_bucket_holds_two_honest_sites_and_the_others_of_the_charter(
    sites: int, buckets: int, colluders: int, others: int
) -> None:
    """So many are in each, or the run is refused at both ends."""
    charter = charter_of(sites, min_others=others, max_colluders=colluders)
    config, floor = masked(buckets=buckets), smallest_sum(colluders, others)
    assert encryption_of(config).smallest_sum(charter) == floor
    if sites // buckets >= floor:
        mode_of(config).require_agreed(config, charter)
    else:
        with pytest.raises(OutsideCharter, match=f"{floor} sites or more in each bucket"):
            mode_of(config).require_agreed(config, charter)


def test_who_is_left_out_of_a_run_fills_no_bucket_of_it() -> None:
    charter, full = charter_of(6), masked(buckets=2)
    mode_of(full).require_agreed(full, charter)
    fewer = masked(buckets=2, without="site-003")
    with pytest.raises(OutsideCharter, match="5 sites in 2 buckets"):
        mode_of(fewer).require_agreed(fewer, charter)


def test_a_suite_without_masks_is_refused_for_masked_runs_only() -> None:
    charter = charter_of(4, suite="x25519")
    with pytest.raises(OutsideCharter, match="suite is x25519, which has no masks"):
        mode_of(masked()).require_agreed(masked(), charter)
    plain = RunConfig(aggregation="encrypted")
    mode_of(plain).require_agreed(plain, charter)


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        ({}, True),
        ({"suite": "mlkem768_x25519"}, False),
        ({"suite": "mlkem768_x25519", "without_masks": True}, True),
        ({"without_masks": True}, True),
    ],
)
def test_an_encrypted_run_does_without_masks_only_where_the_members_did_not_ask_for_them(
    said: dict[str, Any], allowed: bool
) -> None:
    """A charter made before says nothing of them, and its runs go on as they were."""
    plain, charter = RunConfig(aggregation="encrypted"), charter_of(4, **said)
    mode_of(masked()).require_agreed(masked(), charter)
    if allowed:
        mode_of(plain).require_agreed(plain, charter)
    else:
        with pytest.raises(OutsideCharter, match="set masks to true"):
            mode_of(plain).require_agreed(plain, charter)


def test_where_a_bucket_sums_one_set_a_round_asks_everybody() -> None:
    some = masked(fraction=0.8)
    with pytest.raises(OutsideCharter, match=r"fraction=0\.8 asks only some"):
        mode_of(some).require_agreed(some, charter_of(5))


@pytest.mark.parametrize(
    ("said", "settings"), [({"sets_in_run": "any"}, {}), ({}, PRIVATE)], ids=["any", "noise"]
)
def test_where_it_may_sum_any_set_the_fraction_is_the_coordinators(
    said: dict[str, Any], settings: dict[str, Scalar]
) -> None:
    config = masked(fraction=0.8, **settings)
    mode_of(config).require_agreed(config, charter_of(5, **said))


@given(sites=st.integers(3, 60), colluders=st.integers(1, 10))
def test_what_is_said_of_confirmations_is_what_the_protocol_asks_for(
    sites: int, colluders: int
) -> None:
    charter = charter_of(sites, max_colluders=colluders)
    witnesses, said = min(sites, MOST_WITNESSES), mode_of(masked()).notes(masked(), charter)
    needed, borne = (
        confirmations_needed(witnesses, colluders),
        num_deaths_borne(witnesses, colluders),
    )
    assert f"{needed} of {witnesses} sites confirm each sum" in said[0]
    assert (f"{borne} may be away" if borne else "waits for each of them") in said[0]
    # The rest of the witnesses are too few to confirm if the members in league do not.
    assert any("can stop the run" in line for line in said) == (witnesses - colluders < needed)


def test_of_three_sites_none_may_be_away_and_one_can_stop_the_run() -> None:
    assert mode_of(masked()).notes(masked(), charter_of(3)) == (
        "masks: 3 of 3 sites confirm each sum before it opens, so the run waits for each of them",
        "1 member in league can stop the run by confirming nothing; among 4 sites or more they "
        "could not",
        "a bucket sums the same sites in all rounds: who is gone is waited for, and nobody joins "
        "late",
    )


def test_where_rounds_may_sum_different_sites_it_is_said_what_that_shows() -> None:
    charter = charter_of(5, sets_in_run="any")
    assert "cosine 0.9" in mode_of(masked()).notes(masked(), charter)[-1]
    noisy = masked(**PRIVATE)
    assert "which carries noise" in mode_of(noisy).notes(noisy, charter)[-1]


def league(config: RunConfig, **said: Any) -> LeagueTerms:
    noise = config.privacy.offered is not None
    charter = charter_of(40, **said)
    return mode_of(config).league_terms(charter, noun="bank", nouns="banks", noise=noise)


@given(colluders=st.integers(0, 10), sets=st.sampled_from(["", "one", "any"]))
def test_only_of_a_masked_run_is_it_said_that_a_league_reads_nothing(
    colluders: int, sets: str
) -> None:
    """With what is not claimed beside it."""
    said: dict[str, Any] = {"max_colluders": colluders, "sets_in_run": sets}
    (closed,) = league(masked(), **said).closed
    assert "could read neither the update nor the counts" in closed
    number = max(colluders, 1)
    assert ("with 1 bank could" in closed) if number == 1 else (f"up to {number} banks" in closed)
    not_closed = " ".join(league(masked(), **said).not_closed)
    assert "this does not hold" in not_closed
    assert ("can estimate the update" in not_closed) == (sets == "any")
    (one_lock,) = league(RunConfig(aggregation="encrypted"), **said).not_closed
    assert "one that colludes with the coordinator can open" in one_lock
    assert league(RunConfig(aggregation="encrypted"), **said).closed == ()
    assert league(RunConfig()) == LeagueTerms()


def test_of_an_encrypted_run_without_masks_it_is_said_who_could_open_an_upload() -> None:
    plain = RunConfig(aggregation="encrypted")
    (said,) = mode_of(plain).notes(plain, charter_of(5))
    assert "the coordinator together with one member can open" in said
    assert mode_of(RunConfig()).notes(RunConfig(), charter_of(5)) == ()
