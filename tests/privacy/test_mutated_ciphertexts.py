"""Mutated uploads, sums and keys, in a separate process: refused with a typed error or harmless."""

import json
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from privacy.encryption.ciphertext_sum import Adder
from privacy.encryption.parameters import PARAMETER_SETS, Placement
from privacy.errors import ConsortiumError
from privacy.secrets.linear_mac import Checksum
from privacy.secrets.sealer import BfvSecret, Sealer

PARAMETERS = PARAMETER_SETS["strict-256"](5)  # the prime with bits to spare: more is refused
PLACEMENT = Placement(parameters=PARAMETERS, dim=60_000, tally_size=40)
WARM_UP = 300  # mutants until every path has run once
Rng = np.random.Generator


def flip_a_bit(data: bytes, rng: Rng) -> bytes:
    place = int(rng.integers(len(data)))
    return data[:place] + bytes([data[place] ^ 1 << int(rng.integers(8))]) + data[place + 1 :]


def flip_in_the_marker(data: bytes, rng: Rng) -> bytes:
    return flip_a_bit(data[:32], rng) + data[32:]


def truncate(data: bytes, rng: Rng) -> bytes:
    return data[: int(rng.integers(len(data)))]


def extend(data: bytes, rng: Rng) -> bytes:
    return data + rng.bytes(int(rng.integers(1, 100)))


def overwrite(data: bytes, rng: Rng) -> bytes:
    place, filling = int(rng.integers(len(data))), rng.bytes(int(rng.integers(1, 5000)))
    return (data[:place] + filling + data[place + len(filling) :])[: len(data)]


def constant(data: bytes, rng: Rng) -> bytes:
    first, last = sorted(int(place) for place in rng.integers(len(data), size=2))
    return data[:first] + bytes([int(rng.choice([0, 255]))]) * (last - first) + data[last:]


def rotate(data: bytes, rng: Rng) -> bytes:
    place = int(rng.integers(1, len(data)))
    return data[:32] + data[32 + place :] + data[32 : 32 + place]


MUTATIONS = (flip_a_bit, flip_in_the_marker, truncate, extend, overwrite, constant, rotate)


def outcome(attempt: Callable[[bytes], object], mutant: bytes) -> str:
    """The type of the refusal; anything but a refusal of ours ends the process."""
    try:
        attempt(mutant)
    except ConsortiumError as refusal:
        return refusal.code
    return "accepted"


def targets() -> dict[str, tuple[bytes, Callable[[bytes], object]]]:
    """Good bytes of each kind, and what is done with mutants of them."""
    secret = BfvSecret.generate(PARAMETERS)
    checksum = Checksum(
        bytes(32), b"", num_rows=PLACEMENT.num_ciphertexts, row_length=PARAMETERS.degree
    )
    sealer = Sealer(secret, PLACEMENT, checksum)
    upload = sealer.seal(
        np.ones(PLACEMENT.dim, np.int32), np.ones(PLACEMENT.tally_size, np.int64), pad=1
    )
    adder = Adder(PLACEMENT)
    adder.add(upload)

    def reopen(data: bytes) -> None:
        opened = sealer.open(data, pads=[1])
        if not (opened.levels == 1).all() or not (opened.tally == 1).all():
            raise SystemExit("a mutated sum opened to other integers")

    return {
        "upload": (upload, lambda data: Adder(PLACEMENT).add(data)),
        "sum": (adder.sum(), reopen),
        "key": (secret.material(), lambda data: BfvSecret.from_material(PARAMETERS, data)),
    }


def peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def run(count: int) -> None:
    chosen, rng, before = targets(), np.random.default_rng(20), 0
    seen: dict[str, Counter[str]] = {name: Counter() for name in chosen}
    for index in range(count):
        before = peak_bytes() if index == WARM_UP else before
        name = sorted(chosen)[index % 3]
        data, attempt = chosen[name]
        mutant = MUTATIONS[index // 3 % len(MUTATIONS)](data, rng)
        if mutant != data:
            seen[name][outcome(attempt, mutant)] += 1
    for data, attempt in chosen.values():
        attempt(data)
    sys.stdout.write(json.dumps({"seen": seen, "grown": peak_bytes() - before}))


@pytest.mark.parametrize("count", [2000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutants_are_refused_by_type_and_never_crash_or_swell(count: int) -> None:
    """A mutated sum is refused or opens to the same integers, because the low bits are noise.

    An upload or a key that is accepted is well-formed; the checksum is for the rest.
    """
    root = Path(__file__).parents[2]
    finished = subprocess.run(
        [sys.executable, __file__, str(count)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    report = json.loads(finished.stdout)
    seen = report["seen"]
    assert set(seen["upload"]) == {"malformed-ciphertext", "accepted"}
    assert set(seen["sum"]) == {"malformed-ciphertext", "checksum-failed", "accepted"}
    assert seen["sum"]["accepted"] < 0.1 * sum(seen["sum"].values())
    assert set(seen["key"]) == {"malformed-secret", "accepted"}
    assert sum(sum(kinds.values()) for kinds in seen.values()) > 0.95 * count
    assert report["grown"] < 4 * PLACEMENT.sum_bytes


if __name__ == "__main__":
    run(int(sys.argv[1]))
