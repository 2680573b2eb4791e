#!/usr/bin/env bash
# Packages: autodp 0.2.3.1 (the newest) with SciPy 1.17.1 and NumPy 2.4.6, as pip chooses them, and
#   with SciPy 1.9.3 and NumPy 1.25.2. Seen 2026-11-29.
#
# Question: how much privacy do repeated releases spend by autodp's tight accountant
#   (`ComposeAFA`, of mechanisms made with `phi_off=False`)?
# Good guess: what the closed formula says, and a little less than the same package finds by Renyi's
#   divergence.
# What happens: the epsilon is negative. autodp looks for exp(epsilon) with
#   `minimize_scalar(..., bounds=[0, 1], bracket=[1, 2])`. SciPy up to 1.9 ignored these bounds;
#   from 1.10 on it keeps to them, so epsilon cannot be above 0. One Gaussian release or a hundred,
#   much noise or little: -0.0048. A mechanism with several descriptions reports the smallest of
#   their epsilons, so the wrong one wins over the exact one. No error. The warnings speak of a
#   tolerance and of a division, and a printed line has a delta of 0.25, where 0.00001 was asked.
#   With SciPy 1.9.3 Gaussian noise is right. But a hundred answers by randomized response cost 0
#   there, where 23.65 is right, and less than 0 with the new SciPy.
#   The package accepts any SciPy from 1.2.1 on. Its README files do not mention this; its issues
#   tell of errors that a newer SciPy raised elsewhere, which are mended in this version.
# Why it matters here: a ledger that adds such an epsilon gives budget back with each release.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
cat >"$folder/spent.py" <<'PYTHON'
import contextlib
import io
import math
import sys
from statistics import NormalDist

from autodp.mechanism_zoo import GaussianMechanism, RandresponseMechanism
from autodp.transformer_zoo import ComposeAFA, Composition

DELTA = 1e-5
new_scipy = sys.argv[1] == "new"
cdf = NormalDist().cdf


def gaussian_delta(epsilon, sigma, times):
    mu = math.sqrt(times) / sigma
    return cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * cdf(-mu / 2 - epsilon / mu)


def response_delta(epsilon, truth, times):
    total = 0
    for true in range(times + 1):
        p = math.comb(times, true) * truth**true * (1 - truth) ** (times - true)
        q = math.comb(times, true) * (1 - truth) ** true * truth ** (times - true)
        total += max(0, p - math.exp(epsilon) * q)
    return total


def exact(delta_of, *how):
    low, high = 0.0, 50.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle, *how) > DELTA else (low, middle)
    return high


def spent(mechanism):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        return float(mechanism.get_approxDP(DELTA)), said.getvalue()


for sigma, times in ((5, 1), (5, 10), (5, 100), (50, 100)):
    right = exact(gaussian_delta, sigma, times)
    tight, said = spent(ComposeAFA()([GaussianMechanism(sigma, phi_off=False)], [times]))
    renyi, _ = spent(Composition()([GaussianMechanism(sigma)], [times]))
    print(f"Gaussian {sigma}, {times} times: exact {right:.4f}, Renyi {renyi:.4f}, AFA {tight:.4f}")
    assert right < renyi < 1.3 * right
    if new_scipy:
        assert abs(tight + 0.0048) < 0.0001
    else:
        assert abs(tight / right - 1) < 0.01
    if times == 10 and new_scipy:
        print("   its last line:", said.splitlines()[-1])

alone, _ = spent(GaussianMechanism(5, phi_off=False))
plain, _ = spent(GaussianMechanism(5))
print(f"Gaussian 5 alone, with phi_off=False: {alone:.4f}; without it: {plain:.4f}")
assert abs(plain - exact(gaussian_delta, 5, 1)) < 1e-6
assert (alone < 0) == new_scipy

right = exact(response_delta, 0.6, 100)
tight, _ = spent(ComposeAFA()([RandresponseMechanism(0.6, phi_off=False)], [100]))
renyi, _ = spent(Composition()([RandresponseMechanism(0.6)], [100]))
print(f"Randomized response 0.6, 100 times: exact {right:.4f}, Renyi {renyi:.4f}, AFA {tight:.4f}")
assert right < renyi < 1.3 * right and tight <= 0
PYTHON

spent() {
    python3.11 -m venv "$folder/$1"
    "$folder/$1/bin/pip" install --quiet autodp==0.2.3.1 "scipy==$2" "numpy==$3"
    echo "SciPy $2:"
    "$folder/$1/bin/python" "$folder/spent.py" "$1"
}
spent new 1.17.1 2.4.6
spent old 1.9.3 1.25.2
