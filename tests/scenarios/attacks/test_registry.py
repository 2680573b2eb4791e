import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.attacks.registry import (
    ATTACKS,
    Attack,
    AttackContext,
    MaliciousReply,
    UnknownAttack,
    attack_named,
)

DIM = 400


def known(seed: int = 0, *, n_sites: int = 15, num_liars: int = 2) -> AttackContext:
    rng = np.random.default_rng(seed)
    return AttackContext(
        own=rng.normal(size=DIM),
        num_examples=100,
        max_examples=10_000,
        n_sites=n_sites,
        num_liars=num_liars,
        honest=rng.normal(1.0, 1.0, size=(n_sites - num_liars, DIM)),
        rng=rng,
    )


def told(name: str, by: AttackContext) -> MaliciousReply:
    lie = ATTACKS[name].lie
    assert lie is not None
    return lie(by)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_every_attack_alters_answers_or_records_and_keeps_the_form(attack: Attack) -> None:
    assert attack.lie or attack.poison
    if attack.lie:
        sent = attack.lie(known())
        assert sent.update.shape == (DIM,)
        assert sent.num_examples == (10_000 if attack.name == "weight-inflation" else 100)


@given(n_sites=st.integers(3, 30), share=st.floats(0.05, 0.49))
def test_the_mean_of_all_turns_round(n_sites: int, share: float) -> None:
    """Inner-product manipulation reverses the mean of all, however few the liars."""
    by = known(n_sites=n_sites, num_liars=max(1, int(share * n_sites)))
    liars = np.repeat(told("inner-product", by).update[None], by.num_liars, axis=0)
    honest = by.honest.mean(axis=0)
    everyone = np.concatenate([by.honest, liars]).mean(axis=0)
    assert everyone @ honest < 0


def test_a_reversed_update_of_two_turns_the_mean_of_fifteen_alike() -> None:
    by = known()
    liars = 2 * told("sign-flip", by).update
    assert (13 * by.own + liars) @ by.own < 0


def test_a_model_is_replaced() -> None:
    """If the honest do not move any more, the mean of all is the liar's own update."""
    by = known()
    np.testing.assert_allclose(2 * told("backdoor", by).update / 15, by.own)


def test_a_little_stays_within_the_spread_of_the_honest() -> None:
    """No further from the honest mean than the furthest honest site."""
    by = known()
    centre = by.honest.mean(axis=0)
    furthest = np.linalg.norm(by.honest - centre, axis=1).max()
    lie = told("a-little-is-enough", by).update
    assert np.linalg.norm(lie - centre) < 1.6 * furthest
    np.testing.assert_allclose(lie, centre - 1.5 * by.honest.std(axis=0))


def test_the_plain_attacks_send_what_they_say() -> None:
    by = known()
    length = np.linalg.norm(by.own)
    np.testing.assert_array_equal(told("sign-flip", by).update, -10 * by.own)
    np.testing.assert_array_equal(told("scaling", by).update, 100 * by.own)
    np.testing.assert_array_equal(told("weight-inflation", by).update, -by.own)
    assert not told("free-rider", by).update.any()
    assert np.isnan(told("nan", by).update).all()
    noise = told("gaussian", by).update
    assert np.linalg.norm(noise) == pytest.approx(100 * length)
    assert abs(noise @ by.own) < 20 * length * length  # it has no direction of its own
    assert not np.array_equal(noise, told("gaussian", by).update)


def test_only_who_needs_it_sees_the_honest() -> None:
    omniscient = {name for name, attack in ATTACKS.items() if attack.omniscient}
    assert omniscient == {"a-little-is-enough", "inner-product"}


def test_an_unknown_attack_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownAttack, match="did you mean 'sign-flip'"):
        attack_named("sign-flop")
    with pytest.raises(UnknownAttack, match="the attacks are sign-flip, scaling"):
        attack_named("zzz")
