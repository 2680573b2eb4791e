import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from privacy.layout import Field, Layout
from sites.models.initialisation import initial_vector, layout_of

FIELDS = (
    Field("0.weight", (4, 3)),
    Field("0.bias", (4,)),
    Field("2.weight", (2, 4)),
    Field("2.bias", (2,)),
)
LAYOUT = layout_of(FIELDS, seed=7)


def test_a_layout_names_scheme_and_seed_of_its_initial_values() -> None:
    assert LAYOUT.fields == FIELDS
    assert layout_of(FIELDS, seed=8).digest != LAYOUT.digest


def test_initial_values_have_the_same_bytes_on_every_machine() -> None:
    digest = hashlib.sha256(initial_vector(LAYOUT, seed=7).astype("<f4").tobytes()).hexdigest()
    assert digest == "51c69094b70aa657ea3dc66452300741fac128b42aeadc7071db46ea825022cc"


@given(seed=st.integers(0, 2**32))
def test_weights_start_within_their_fan_in_and_biases_at_zero(seed: int) -> None:
    arrays = LAYOUT.unflatten(initial_vector(LAYOUT, seed=seed))
    for name, fan_in in (("0.weight", 3), ("2.weight", 4)):
        assert 0 < np.abs(arrays[name]).max() <= np.float32(fan_in**-0.5)
    assert not arrays["0.bias"].any()


def test_initial_weights_are_uniform() -> None:
    layout = Layout(fields=(Field("weight", (200, 100)),))
    start = initial_vector(layout, seed=1)
    np.testing.assert_allclose([start.mean(), start.std()], [0, 0.1 / 3**0.5], atol=1e-3)


def test_an_array_has_the_same_initial_values_beside_any_others() -> None:
    """Adding, renaming or moving other arrays does not change the initial values of one."""
    one, other = Field("one", (2, 3)), Field("other", (2, 3))
    alone = Layout(fields=(one,)).unflatten(initial_vector(Layout(fields=(one,)), seed=7))
    both = Layout(fields=(other, one)).unflatten(
        initial_vector(Layout(fields=(other, one)), seed=7)
    )
    np.testing.assert_array_equal(both["one"], alone["one"])
    assert not np.array_equal(both["other"], both["one"])


def test_another_seed_gives_other_initial_values() -> None:
    assert not np.array_equal(initial_vector(LAYOUT, seed=7), initial_vector(LAYOUT, seed=8))
