#!/usr/bin/env bash
# Package: dp-accounting 0.6.0. Seen 2026-11-29.
#
# Question: what is the epsilon of a million steps of noisy gradient descent, each on a
#   ten-thousandth of the records, with noise multiplier 10?
# Good guess: what `PLDAccountant` says with its default settings. Accounting by privacy loss
#   distributions is the tight method; the Renyi accountant is the looser one, by a quarter or so.
# What happens: the default accountant says 0.103 and the Renyi accountant 0.039. The default grid
#   of 1e-4 is coarser than the loss of one step, and its rounding adds up a million times. On a
#   grid of 1e-6 the first says 0.034. All three are true bounds, and nothing warns that one of them
#   is three times too large. A larger step (noise 1, rate 0.01) shows the usual order.
# Why it matters here: noise that is calibrated by such a bound is too large by half and more. Our
#   own accounting chose its grids, but none finer than 6e-5: it said 0.079. It now goes to 1e-6.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dp-accounting==0.6.0 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - <<'PYTHON'
import dp_accounting
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant

DELTA = 1e-6


def bounds(noise, rate, steps):
    step = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    accountants = {
        "loss distribution, default": PLDAccountant(),
        "loss distribution, grid 1e-6": PLDAccountant(value_discretization_interval=1e-6),
        "Renyi": RdpAccountant(),
    }
    found = {}
    for name, accountant in accountants.items():
        found[name] = accountant.compose(step, steps).get_epsilon(DELTA)
        print(f"noise {noise}, rate {rate}, {steps} steps: {name}: {found[name]:.4f}")
    return list(found.values())


default, fine, renyi = bounds(10.0, 1e-4, 10**6)
assert default > 2.5 * renyi
assert fine < renyi < default
default, fine, renyi = bounds(4.0, 2e-4, 10**5)
assert fine < renyi < default
step = dp_accounting.PoissonSampledDpEvent(0.01, dp_accounting.GaussianDpEvent(1.0))
usual = PLDAccountant().compose(step, 1000).get_epsilon(DELTA)
usual_renyi = RdpAccountant().compose(step, 1000).get_epsilon(DELTA)
print(f"noise 1, rate 0.01, 1000 steps: default {usual:.4f}, Renyi {usual_renyi:.4f}")
assert usual < usual_renyi
PYTHON
