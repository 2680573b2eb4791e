from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.run.directory import RunDirectory
from consortium.run.records import write_record
from scenarios.attacks.assignment import (
    NOBODY,
    AttackAssignment,
    TooManyLiars,
    draw_liars,
    liars_path,
)
from scenarios.attacks.registry import UnknownAttack

SITES = tuple("abcdefgh")


@given(seed=st.integers(0, 2**32), liars=st.integers(0, 8))
def test_liars_are_drawn_by_the_seed_alone(seed: int, liars: int) -> None:
    drawn = draw_liars(SITES, "nan", liars=liars, seed=seed)
    assert len(drawn.attacks) == liars
    assert set(drawn.attacks) <= set(SITES)
    other = draw_liars(SITES, "scaling", liars=liars, seed=seed)
    assert set(other.attacks) == set(drawn.attacks)
    fewer = draw_liars(SITES, "nan", liars=max(0, liars - 1), seed=seed)
    assert set(fewer.attacks) <= set(drawn.attacks)


def test_every_site_can_be_drawn() -> None:
    drawn = {
        name for seed in range(60) for name in draw_liars(SITES, "nan", liars=1, seed=seed).attacks
    }
    assert drawn == set(SITES)


def test_more_liars_than_sites_are_an_error() -> None:
    with pytest.raises(TooManyLiars, match="9 liars were asked for, and there are 8 sites"):
        draw_liars(SITES, "nan", liars=9, seed=0)
    with pytest.raises(UnknownAttack):
        draw_liars(SITES, "naan", liars=1, seed=0)


def test_only_some_attacks_alter_replies() -> None:
    lies = AttackAssignment(attacks={"a": "label-flip", "b": "nan", "c": "backdoor"})
    assert lies.malicious_senders == ("b", "c")
    assert NOBODY.malicious_senders == ()


def test_each_liar_has_its_own_random_stream_in_each_round() -> None:
    lies = AttackAssignment(seed=3, attacks={"a": "gaussian", "b": "gaussian"})
    drawn = {lies.rng(site, turn).random() for site in "ab" for turn in range(4)}
    assert len(drawn) == 8
    assert lies.rng("a", 1).random() == lies.rng("a", 1).random()


def test_an_assignment_is_read_as_it_was_written(tmp_path: Path) -> None:
    lies = draw_liars(SITES, "nan", liars=2, seed=5)
    write_record(liars_path(RunDirectory(tmp_path)), lies)
    assert AttackAssignment.read(RunDirectory(tmp_path)) == lies
