import math
from typing import Any

import pytest
import tenseal.sealapi as seal
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.encryption.parameters import (
    NOISE_OF_ONE,
    PARAMETER_SETS,
    TAG_LIMB_BITS,
    TAG_LIMBS,
    TALLY_BITS,
    Placement,
    SealParameters,
    UnsoundParameters,
    _prime,
    seal_context,
)

MOST_SITES = {"default": 1_524, "strict-256": 190, "compact-12": 95, "compact-8": 95}


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_each_set_exists_up_to_its_proven_number_of_sites_and_not_beyond(name: str) -> None:
    most = MOST_SITES[name]
    assert PARAMETER_SETS[name](most).num_sites == most
    with pytest.raises(UnsoundParameters, match=f"at most {most:,} sites"):
        PARAMETER_SETS[name](most + 1)


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_each_set_passes_seals_own_table_at_256_bits(name: str) -> None:
    parameters = PARAMETER_SETS[name](16)
    assert parameters.security_bits == 256
    table = seal.CoeffModulus.MaxBitCount(parameters.degree, seal.SEC_LEVEL_TYPE.TC256)
    assert parameters.prime.bit_length() <= table


@pytest.mark.parametrize(
    ("sites", "levels", "bits"),
    [
        (16, 524_287, 20.0),
        (64, 131_071, 18.0),
        (95, 88_301, 17.4),
        (96, 43_690, 16.4),
        (381, 11_008, 14.4),
        (500, 4_194, 13.0),
    ],
)
def test_the_default_set_has_the_published_levels(sites: int, levels: int, bits: float) -> None:
    parameters = PARAMETER_SETS["default"](sites)
    assert parameters.levels == levels
    assert parameters.bits == pytest.approx(bits, abs=0.05)


@pytest.mark.parametrize("sites", [95, 96, 500])
def test_to_choose_a_set_makes_one_context(sites: int) -> None:
    """A context takes megabytes; and the prime used for choosing is that of the context."""
    seal_context.cache_clear()
    parameters = PARAMETER_SETS["default"](sites)
    assert seal_context.cache_info().currsize == 1
    assert parameters.prime == _prime(parameters.degree, parameters.prime_bits)


@given(
    sites=st.integers(0, 400),
    prime_bits=st.integers(30, 62),
    plain_bits=st.integers(0, 62),
    digits=st.integers(0, 8),
)
def test_whatever_constructs_is_exact(
    sites: int, prime_bits: int, plain_bits: int, digits: int
) -> None:
    """Noise below half a step, and no digit of a sum reaches its neighbour."""
    try:
        parameters = SealParameters(
            num_sites=sites, prime_bits=prime_bits, plain_bits=plain_bits, digits=digits
        )
    except UnsoundParameters:
        return
    assert sites * NOISE_OF_ONE < parameters.prime / 2 ** (plain_bits + 1)
    assert 1 <= sites * parameters.levels < 2 ** (parameters.digit_bits - 1)
    assert parameters.digit_bits * digits <= plain_bits
    assert sites * (2**TAG_LIMB_BITS - 1) < 2 ** (plain_bits - 1)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"prime_bits": 59, "degree": 4096}, "use fewer prime bits"),
        ({"degree": 1024}, "use fewer prime bits"),
        ({"degree": 5000}, "SEAL refuses degree 5000"),
        ({"prime_bits": 61}, "SEAL refuses"),
        ({"plain_bits": 61}, "SEAL refuses"),
        ({"plain_bits": -1}, "digits 2 to -1"),
        ({"security_bits": 100}, r"one of \[128, 192, 256\]"),
        ({"plain_bits": 50}, "lower the sites or the plain bits"),
        ({"num_sites": 1_025, "plain_bits": 42}, "raise the plain bits"),
        ({"num_sites": 0}, "num_sites must be at least 1"),
        ({"digits": 1}, "digits 2 to 48"),
        ({"digits": 49}, "digits 2 to 48"),
        ({"digits": 12, "num_sites": 95}, "lower the digits or the sites"),
    ],
)
def test_parameters_that_can_fail_do_not_construct(change: dict[str, int], advice: str) -> None:
    with pytest.raises(UnsoundParameters, match=advice):
        SealParameters(**{"num_sites": 64, **change})


def test_parameters_that_do_not_fit_each_other_differ_in_fingerprint() -> None:
    made = [factory(sites) for factory in PARAMETER_SETS.values() for sites in (15, 16)]
    assert len({parameters.fingerprint for parameters in made}) == len(made)


@given(sites=st.integers(1, 1_524))
def test_every_set_holds_the_sum_of_the_largest_tallies(sites: int) -> None:
    """One coefficient does where N * 2^41 fits half the plaintext modulus; else two limbs."""
    for name, factory in PARAMETER_SETS.items():
        if sites > MOST_SITES[name]:
            continue
        parameters = factory(sites)
        largest = sites * (2**TALLY_BITS - 1)
        fits = largest < 2 ** (parameters.plain_bits - 1)
        assert parameters.tally_limbs == (1 if fits else 2)


@settings(max_examples=50)
@given(dim=st.integers(0, 200_000), tally_size=st.integers(0, 40_000))
def test_a_placement_has_room_for_everything_and_no_ciphertext_too_many(
    dim: int, tally_size: int
) -> None:
    parameters = PARAMETER_SETS["compact-12"](80)
    if dim + tally_size == 0:
        return
    placement = Placement(parameters=parameters, dim=dim, tally_size=tally_size)
    used = math.ceil(dim / 3) + 2 * tally_size + TAG_LIMBS
    assert placement.num_ciphertexts == math.ceil(used / parameters.degree)
    assert placement.upload_bytes == 32 + placement.num_ciphertexts * (8192 * 60 // 8 + 64)
    assert placement.sum_bytes == 32 + placement.num_ciphertexts * 2 * 8192 * 60 // 8


@pytest.mark.parametrize(("dim", "tally_size"), [(0, 0), (-1, 5), (5, -1)])
def test_a_placement_of_nothing_is_refused(dim: int, tally_size: int) -> None:
    with pytest.raises(UnsoundParameters, match="sizes must not be negative"):
        Placement(parameters=PARAMETER_SETS["default"](3), dim=dim, tally_size=tally_size)


def test_uploads_and_sums_are_marked_apart() -> None:
    def markers(**change: Any) -> set[bytes]:
        placement = Placement(parameters=PARAMETER_SETS["default"](3), **change)
        return {placement.upload_marker, placement.sum_marker}

    assert len(markers(dim=10) | markers(dim=100_000)) == 4
