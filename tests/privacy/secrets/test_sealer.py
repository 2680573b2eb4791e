import copy
import os
import pickle
import resource
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tenseal.sealapi as seal
from hypothesis import example, given, settings
from hypothesis import strategies as st

from privacy.encryption.ciphertext_sum import (
    Adder,
    MalformedCiphertext,
    TooManyUploads,
    unpack_polynomials,
)
from privacy.encryption.parameters import PARAMETER_SETS, TALLY_BITS, Placement, SealParameters
from privacy.encryption.quantisation import Levels
from privacy.encryption.seal_serialisation import SEED_BYTES, Inlet, pack
from privacy.layout import Tally
from privacy.secrets.linear_mac import PRIME, Checksum, ChecksumFailed
from privacy.secrets.packing import FieldOverflow, Integers, UnfitIntegers
from privacy.secrets.sealer import (
    BfvSecret,
    HelperDied,
    MalformedSecret,
    Sealer,
    _workspace_for,
    sum_over_processes,
)

SITES = {  # the most that fit, of the default set with each number of plain bits
    "default": 95,
    "default of 381": 381,
    "default of 1524": 1_524,
    "strict-256": 190,
    "compact-12": 95,
    "compact-8": 95,
}
SETS = {name: PARAMETER_SETS[name.partition(" ")[0]](sites) for name, sites in SITES.items()}
SECRETS = {name: BfvSecret.generate(parameters) for name, parameters in SETS.items()}
DEFAULT = SETS["default"]
SLOTS = DEFAULT.degree * DEFAULT.digits
LARGEST = 2**TALLY_BITS - 1
SMALL = Placement(parameters=DEFAULT, dim=40, tally_size=6)


def sealer_for(
    placement: Placement, *, secret: BfvSecret | None = None, key: bytes = bytes(32)
) -> Sealer:
    checksum = Checksum(
        key, b"run", num_rows=placement.num_ciphertexts, row_length=placement.parameters.degree
    )
    return Sealer(secret or SECRETS["default"], placement, checksum)


def numbers(placement: Placement, seed: int) -> tuple[Levels, Tally]:
    rng = np.random.default_rng(seed)
    limit = placement.parameters.levels
    return (
        rng.integers(-limit, limit, placement.dim, endpoint=True, dtype=np.int32),
        rng.integers(-LARGEST, LARGEST, placement.tally_size, endpoint=True),
    )


def uploads_of(sealer: Sealer, placement: Placement, pads: Sequence[int]) -> list[bytes]:
    return [sealer.seal(*numbers(placement, pad), pad=pad) for pad in pads]


def added(placement: Placement, *uploads: bytes) -> bytes:
    adder = Adder(placement)
    for upload in uploads:
        adder.add(upload)
    return adder.sum()


def combined(placement: Placement, *weighted: tuple[int, bytes]) -> bytes:
    """A linear combination of sums: all that a coordinator without the key can make."""
    parameters = placement.parameters
    shape = (2 * placement.num_ciphertexts, parameters.degree)
    total = np.zeros(shape, dtype=object)
    for weight, summed in weighted:
        row = np.frombuffer(summed, dtype=np.uint8, offset=len(placement.sum_marker))
        total += weight * unpack_polynomials(row, parameters, np.empty(shape, np.uint64)).astype(
            object
        )
    words = (total % parameters.prime).astype(np.uint64)
    packed = pack(words, np.empty((shape[0], parameters.packed_words), dtype="<u8"))
    return placement.sum_marker + packed.tobytes()


# --- opening gives the exact sum -------------------------------------------------------------


@settings(max_examples=40)
@given(
    name=st.sampled_from(sorted(SETS)),
    dim=st.one_of(st.integers(0, 70_000), st.just(SLOTS)),
    tally_size=st.integers(0, 5000),
    seeds=st.lists(st.integers(0, 2**32), min_size=1, max_size=4),
)
@example(name="default", dim=SLOTS - 4, tally_size=0, seeds=[1, 2])  # the tag ends the first
@example(name="default", dim=SLOTS - 3, tally_size=0, seeds=[1, 2])  # one more value: a second
@example(name="default", dim=SLOTS - 1, tally_size=1, seeds=[3])
@example(name="default", dim=SLOTS, tally_size=0, seeds=[4])
@example(name="default", dim=SLOTS + 1, tally_size=0, seeds=[5])
@example(name="default", dim=1, tally_size=0, seeds=[6])
@example(name="default", dim=0, tally_size=1, seeds=[7])
@example(name="default", dim=1_000_000, tally_size=300, seeds=[8, 9])
def test_the_opened_sum_is_the_sum_of_the_integers(
    name: str, dim: int, tally_size: int, seeds: list[int]
) -> None:
    if dim + tally_size == 0:
        return
    placement = Placement(parameters=SETS[name], dim=dim, tally_size=tally_size)
    sealer = sealer_for(placement, secret=SECRETS[name])
    opened = sealer.open(added(placement, *uploads_of(sealer, placement, seeds)), pads=seeds)
    parts = [numbers(placement, seed) for seed in seeds]
    np.testing.assert_array_equal(opened.levels, sum(levels for levels, _ in parts))
    np.testing.assert_array_equal(opened.tally, sum(tally for _, tally in parts))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("sign", [1, -1, 0])
def test_the_largest_values_at_the_bound_of_sites_are_exact(name: str, sign: int) -> None:
    """One upload added N times: its noise adds up without cancelling."""
    placement = Placement(parameters=SETS[name], dim=9000, tally_size=30)
    sealer, sites = sealer_for(placement, secret=SECRETS[name]), SITES[name]
    levels = np.full(9000, sign * SETS[name].levels, dtype=np.int32)
    tally = np.full(30, sign * LARGEST)
    upload = sealer.seal(levels, tally, pad=PRIME - 1)
    opened = sealer.open(added(placement, *[upload] * sites), pads=[PRIME - 1] * sites)
    np.testing.assert_array_equal(opened.levels, levels * sites)
    np.testing.assert_array_equal(opened.tally, tally * sites)


def test_our_ciphertexts_are_seals_own() -> None:
    """SEAL's decryptor, asked for one coefficient after the other, finds what was placed."""
    sealer = sealer_for(SMALL)
    summed = added(SMALL, *uploads_of(sealer, SMALL, [5]))
    row = np.frombuffer(summed, dtype=np.uint8, offset=len(SMALL.sum_marker))
    both = unpack_polynomials(row, DEFAULT, np.empty((2, DEFAULT.degree), dtype=np.uint64))
    ciphertext, plain = seal.Ciphertext(), seal.Plaintext()
    Inlet(DEFAULT.form(seeded=False)).load(ciphertext, DEFAULT.context, both)
    seal.Decryptor(DEFAULT.context, SECRETS["default"].key).decrypt(ciphertext, plain)
    integers = Integers.of(SMALL, *numbers(SMALL, 5))
    placed = integers.write_rows(0, np.empty((1, DEFAULT.degree), dtype=np.int64))[0]
    modulus = 1 << DEFAULT.plain_bits
    assert [plain.data(index) for index in range(32)] == (placed[:32] % modulus).tolist()


# --- what the coordinator can do, and what comes of it ---------------------------------------


def test_a_sum_opens_under_the_pads_of_its_uploads_only() -> None:
    sealer = sealer_for(SMALL)
    first, second, third = uploads_of(sealer, SMALL, [1, 2, 3])
    good = added(SMALL, first, second, third)
    sealer.open(good, pads=[1, 2, 3])
    for pads in ([1, 2], [1, 2, 4], [1, 1, 2, 3]):
        with pytest.raises(ChecksumFailed):
            sealer.open(good, pads=pads)


def test_an_upload_left_out_added_twice_or_exchanged_is_detected() -> None:
    sealer = sealer_for(SMALL)
    first, second, third = uploads_of(sealer, SMALL, [1, 2, 3])
    for forged in (
        added(SMALL, first),
        added(SMALL, first, first, second),
        added(SMALL, first, third),
        added(SMALL, first, second, third),
    ):
        with pytest.raises(ChecksumFailed):
            sealer.open(forged, pads=[1, 2])


@settings(max_examples=15)
@given(factor=st.integers(2, 90))
def test_two_uploads_of_one_site_do_not_combine_into_a_third(factor: int) -> None:
    """K*A - (K-1)*A' has a valid checksum without pads, and the pad of neither."""
    sealer = sealer_for(SMALL)
    levels, tally = numbers(SMALL, 1)
    levels //= 200
    tally //= 200
    first, second = (
        added(SMALL, sealer.seal(levels + shift, tally, pad=7 + shift)) for shift in (0, 1)
    )
    forged = combined(SMALL, (factor, first), (1 - factor, second))
    for pads in ([7], [8]):
        with pytest.raises(ChecksumFailed):
            sealer.open(forged, pads=pads)
    sealer.open(forged, pads=[(factor * 7 + (1 - factor) * 8) % PRIME])  # it is all but the pad


@settings(max_examples=25)
@given(
    coefficient=st.integers(0, DEFAULT.degree - 1), change=st.integers(1, 2**DEFAULT.plain_bits - 1)
)
@example(coefficient=DEFAULT.degree - 3, change=1)  # padding
@example(coefficient=DEFAULT.degree - 2, change=1)  # the tag itself
@example(coefficient=DEFAULT.degree - 1, change=1)
def test_a_constant_added_to_any_coefficient_is_detected(coefficient: int, change: int) -> None:
    sealer = sealer_for(SMALL)
    good = added(SMALL, *uploads_of(sealer, SMALL, [1, 2]))
    words = np.zeros((2, DEFAULT.degree), dtype=np.uint64)
    words[0, coefficient] = round(DEFAULT.prime * change / (1 << DEFAULT.plain_bits))
    packed = pack(words, np.empty((2, DEFAULT.packed_words), dtype="<u8"))
    constant = SMALL.sum_marker + packed.tobytes()
    with pytest.raises(ChecksumFailed):
        sealer.open(combined(SMALL, (1, good), (1, constant)), pads=[1, 2])


def test_a_scaled_or_negated_sum_is_detected() -> None:
    sealer = sealer_for(SMALL)
    good = added(SMALL, *uploads_of(sealer, SMALL, [1, 2]))
    for factor in (2, -1, 3):
        with pytest.raises(ChecksumFailed):
            sealer.open(combined(SMALL, (factor, good)), pads=[1, 2])


def test_ciphertexts_in_another_order_are_detected() -> None:
    placement = Placement(parameters=DEFAULT, dim=3 * SLOTS)
    sealer = sealer_for(placement)
    good = added(placement, *uploads_of(sealer, placement, [1]))
    start, stride = len(placement.sum_marker), placement.sum_stride
    first, second = good[start : start + stride], good[start + stride : start + 2 * stride]
    swapped = good[:start] + second + first + good[start + 2 * stride :]
    with pytest.raises(ChecksumFailed):
        sealer.open(swapped, pads=[1])


def test_another_key_opens_nothing() -> None:
    summed = added(SMALL, *uploads_of(sealer_for(SMALL), SMALL, [1]))
    with pytest.raises(ChecksumFailed):
        sealer_for(SMALL, secret=BfvSecret.generate(DEFAULT)).open(summed, pads=[1])
    with pytest.raises(ChecksumFailed):
        sealer_for(SMALL, key=b"k" * 32).open(summed, pads=[1])


def test_a_transparent_ciphertext_is_refused() -> None:
    both = np.zeros((2, DEFAULT.degree), dtype=np.uint64)
    both[0] = 12345
    packed = pack(both, np.empty((2, DEFAULT.packed_words), dtype="<u8"))
    with pytest.raises(MalformedCiphertext, match="not sealed"):
        sealer_for(SMALL).open(SMALL.sum_marker + packed.tobytes(), pads=[1])


@pytest.mark.parametrize("count", [0, 96])
def test_a_sum_of_none_or_of_too_many_is_refused(count: int) -> None:
    sealer = sealer_for(SMALL)
    summed = added(SMALL, *uploads_of(sealer, SMALL, [1]))
    with pytest.raises(TooManyUploads, match="1 to 95"):
        sealer.open(summed, pads=[1] * count)


def test_a_member_that_seals_beyond_its_bounds_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tag is right, so the sum passes the checksum, and is then found impossible."""
    sealer = sealer_for(SMALL)
    levels, tally = numbers(SMALL, 1)
    levels[7] = 10 * DEFAULT.levels
    with monkeypatch.context() as patched:
        patched.setattr(Integers, "within_range", lambda *_, **__: True)
        upload = sealer.seal(levels, tally, pad=1)
    with pytest.raises(FieldOverflow, match="2 uploads"):
        sealer.open(added(SMALL, upload, *uploads_of(sealer, SMALL, [2])), pads=[1, 2])


def test_integers_beyond_their_bounds_are_not_sealed() -> None:
    levels, tally = numbers(SMALL, 1)
    levels[7] = DEFAULT.levels + 1
    with pytest.raises(UnfitIntegers):
        sealer_for(SMALL).seal(levels, tally, pad=1)


# --- randomness and processes ----------------------------------------------------------------


def seeds_in(upload: bytes, placement: Placement) -> list[bytes]:
    start, stride = len(placement.upload_marker), placement.upload_stride
    ends = range(start + stride, len(upload) + 1, stride)
    return [upload[end - SEED_BYTES : end] for end in ends]


def test_no_ciphertext_repeats_its_randomness_in_any_process() -> None:
    """Forked helpers inherit all memory, and still draw from the operating system."""
    placement = Placement(parameters=DEFAULT, dim=32 * SLOTS)
    sealer = sealer_for(placement)
    levels, tally = np.zeros(placement.dim, np.int32), np.zeros(0, np.int64)
    uploads = [sealer.seal(levels, tally, pad=1, processes=4) for _ in range(2)]
    seeds = [seed for upload in uploads for seed in seeds_in(upload, placement)]
    assert len(set(seeds)) == len(seeds) == 2 * placement.num_ciphertexts


def test_helper_processes_seal_the_same_integers() -> None:
    placement = Placement(parameters=DEFAULT, dim=26 * SLOTS, tally_size=10)
    sealer = sealer_for(placement)
    levels, tally = numbers(placement, 3)
    upload = sealer.seal(levels, tally, pad=3, processes=3)
    opened = sealer.open(added(placement, upload), pads=[3])
    np.testing.assert_array_equal(opened.levels, levels)
    np.testing.assert_array_equal(opened.tally, tally)


@pytest.mark.parametrize(("count", "processes"), [(0, 1), (5, 4), (8, 1), (33, 2), (100, 3)])
def test_work_is_spread_without_gap_or_overlap(count: int, processes: int) -> None:
    total = sum_over_processes(
        lambda first, stop: sum(range(first, stop)), count, processes=processes
    )
    assert total == sum(range(count))


def test_a_helper_that_dies_is_an_error() -> None:
    here = os.getpid()

    def task(first: int, stop: int) -> int:
        if os.getpid() != here:
            os._exit(1)
        return stop - first

    with pytest.raises(HelperDied, match="1 of 1"):
        sum_over_processes(task, 16, processes=2)


def test_sealing_needs_little_memory_beside_the_upload() -> None:
    placement = Placement(parameters=DEFAULT, dim=4_000_000)
    sealer = sealer_for(placement)
    levels = np.zeros(placement.dim, dtype=np.int32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sealer.seal(levels, np.zeros(0, np.int64), pad=1)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < 2 * placement.upload_bytes + 20_000_000


# --- the secret ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_a_secret_survives_its_material(name: str) -> None:
    placement = Placement(parameters=SETS[name], dim=100)
    summed = added(
        placement, *uploads_of(sealer_for(placement, secret=SECRETS[name]), placement, [1])
    )
    again = BfvSecret.from_material(SETS[name], SECRETS[name].material())
    opened = sealer_for(placement, secret=again).open(summed, pads=[1])
    np.testing.assert_array_equal(opened.levels, numbers(placement, 1)[0])


def test_each_secret_is_fresh() -> None:
    assert BfvSecret.generate(DEFAULT).material() != BfvSecret.generate(DEFAULT).material()


def test_each_thread_and_process_has_one_workspace_for_all_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ThreadPoolExecutor(1) as other:
        spaces = [_workspace_for(DEFAULT), other.submit(_workspace_for, DEFAULT).result()]
        assert spaces[0] is _workspace_for(DEFAULT)
        assert spaces[1] is other.submit(_workspace_for, DEFAULT).result()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    spaces.append(_workspace_for(DEFAULT))
    assert len({id(space) for space in spaces}) == 3


def test_keys_and_parameters_that_take_turns_open_what_each_of_them_sealed() -> None:
    """They share their workspace: nothing of one may stand in what another reads."""
    sealers = [
        (placement, sealer_for(placement, secret=BfvSecret.generate(placement.parameters)))
        for placement in (
            Placement(parameters=SETS[name], dim=dim)
            for name, dim in zip([*SETS] * 2, [1, 9_000, 3, 100, 5_000, 7, 2, 1_000], strict=False)
        )
    ]
    sums = [
        added(placement, *uploads_of(sealer, placement, [1, 2])) for placement, sealer in sealers
    ]
    for (placement, sealer), summed in zip(sealers, sums, strict=True):
        opened = sealer.open(summed, pads=[1, 2])
        expected = numbers(placement, 1)[0] + numbers(placement, 2)[0]
        np.testing.assert_array_equal(opened.levels, expected)


def test_a_secret_is_not_printed_copied_or_pickled() -> None:
    secret = SECRETS["default"]
    assert repr(secret) == "BfvSecret()"
    for escape in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="wrap its material"):
            escape(secret)


def malformed(parameters: SealParameters) -> dict[str, bytes]:
    material = SECRETS["default"].material()
    head = len(material) - 8 * parameters.degree
    return {
        "empty": b"",
        "short": material[:-1],
        "long": material + b"\0",
        "other version": b"bfv-sk/2" + material[8:],
        "other parameters": material[:8] + bytes(16) + material[24:],
        "zero": material[:head] + bytes(8 * parameters.degree),
        "too large": material[:-8] + b"\xff" * 8,
        "at the prime": material[:-8] + parameters.prime.to_bytes(8, "little"),
    }


@pytest.mark.parametrize("case", malformed(DEFAULT))
def test_malformed_material_is_refused_without_quoting_it(case: str) -> None:
    material = malformed(DEFAULT)[case]
    with pytest.raises(MalformedSecret) as refused:
        BfvSecret.from_material(DEFAULT, material)
    assert "secret key" in str(refused.value)
    assert not material[24:] or material[24:40].hex() not in str(refused.value)
    assert not refused.value.counts
