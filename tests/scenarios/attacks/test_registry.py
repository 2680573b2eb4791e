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


def attack_context(seed: int = 0, *, n_sites: int = 15, num_liars: int = 2) -> AttackContext:
    rng = np.random.default_rng(seed)
    return AttackContext(
        own=rng.normal(size=DIM),
        num_examples=100,
        max_examples=10_000,
        n_sites=n_sites,
        num_liars=num_liars,
        honest=rng.normal(1.0, 1.0, size=(n_sites - num_liars, DIM)),
        aggregate=lambda updates: updates.mean(axis=0),
        rng=rng,
    )


def reply_of(name: str, by: AttackContext) -> MaliciousReply:
    lie = ATTACKS[name].lie
    assert lie is not None
    return lie(by)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_every_attack_alters_replies_or_records_and_keeps_their_form(attack: Attack) -> None:
    assert attack.lie or attack.poison
    if attack.lie:
        sent = attack.lie(attack_context())
        assert sent.update.shape == (DIM,)
        assert sent.num_examples == (10_000 if attack.name == "weight-inflation" else 100)


@given(n_sites=st.integers(3, 30), share=st.floats(0.05, 0.49))
def test_the_inner_product_attack_reverses_the_mean_of_all(n_sites: int, share: float) -> None:
    """Inner-product manipulation works with any number of liars."""
    by = attack_context(n_sites=n_sites, num_liars=max(1, int(share * n_sites)))
    liars = np.repeat(reply_of("inner-product", by).update[None], by.num_liars, axis=0)
    honest = by.honest.mean(axis=0)
    everyone = np.concatenate([by.honest, liars]).mean(axis=0)
    assert everyone @ honest < 0


def test_two_reversed_updates_reverse_the_mean_of_fifteen_equal_ones() -> None:
    by = attack_context()
    liars = 2 * reply_of("sign-flip", by).update
    assert (13 * by.own + liars) @ by.own < 0


def test_model_replacement_makes_the_mean_the_liars_own_update() -> None:
    """It does if the honest updates are zero."""
    by = attack_context()
    np.testing.assert_allclose(2 * reply_of("backdoor", by).update / 15, by.own)


def test_a_little_is_enough_stays_within_the_spread_of_the_honest() -> None:
    """It is no further from the honest mean than the furthest honest site."""
    by = attack_context()
    centre = by.honest.mean(axis=0)
    furthest = np.linalg.norm(by.honest - centre, axis=1).max()
    lie = reply_of("a-little-is-enough", by).update
    assert np.linalg.norm(lie - centre) < 1.6 * furthest
    np.testing.assert_allclose(lie, centre - 1.5 * by.honest.std(axis=0))


def test_the_simple_attacks_send_what_they_describe() -> None:
    by = attack_context()
    length = np.linalg.norm(by.own)
    np.testing.assert_array_equal(reply_of("sign-flip", by).update, -10 * by.own)
    np.testing.assert_array_equal(reply_of("scaling", by).update, 100 * by.own)
    np.testing.assert_array_equal(reply_of("weight-inflation", by).update, -by.own)
    assert not reply_of("free-rider", by).update.any()
    assert np.isnan(reply_of("nan", by).update).all()
    noise = reply_of("gaussian", by).update
    assert np.linalg.norm(noise) == pytest.approx(100 * length)
    assert abs(noise @ by.own) < 20 * length * length  # it has no direction of its own
    assert not np.array_equal(noise, reply_of("gaussian", by).update)


def test_only_attacks_that_need_it_see_the_honest_updates() -> None:
    omniscient = {name for name, attack in ATTACKS.items() if attack.omniscient}
    assert omniscient == {
        "a-little-is-enough",
        "inner-product",
        "tuned-a-little",
        "tuned-inner-product",
        "min-max",
        "mimic",
    }


def test_an_unknown_attack_is_an_error_that_suggests_the_nearest_name() -> None:
    with pytest.raises(UnknownAttack, match="did you mean 'sign-flip'"):
        attack_named("sign-flop")
    with pytest.raises(UnknownAttack, match="the attacks are sign-flip, scaling"):
        attack_named("zzz")
