#!/usr/bin/env bash
# Package: diffprivlib 0.6.6 with scikit-learn 1.7.2, SciPy 1.17.1 and NumPy 2.3.5.
#   Seen 2026-11-29.
#
# Question: how much noise does `nanmean` put on the mean of a laboratory value that few patients
#   have, at epsilon 1?
# Good guess: as much as `mean` puts on the values that are there. Missing values are ignored, and
#   one patient of ten can move a mean of ten by a tenth of the range.
# What happens: the mean is taken over the values that are there, its noise is scaled for all rows.
#   With 10 values in 1000 rows the noise is a hundredth of what epsilon 1 asks for: the release
#   costs epsilon 100, and the accountant enters 1. `nanvar` and `nanstd` do the same; `nansum` is
#   right. The documentation says that NaNs are ignored and that the sensitivity follows from the
#   bounds.
# Why it matters here: most laboratory values are missing for most patients. The rarer the test,
#   the less its mean is protected, and the ledger shows the budget that was promised.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
    diffprivlib==0.6.6 scikit-learn==1.7.2 scipy==1.17.1 numpy==2.3.5
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
from diffprivlib import BudgetAccountant, tools

warnings.simplefilter("error")
LOW, HIGH, DRAWS = 0, 200, 2000
present = np.array([92.0, 95, 97, 99, 100, 101, 103, 104, 104, 105])
column = np.concatenate([present, np.full(990, np.nan)])


def noise(function, values, exact):
    draws = [
        function(values, epsilon=1, bounds=(LOW, HIGH), random_state=draw) for draw in range(DRAWS)
    ]
    return float(np.mean(np.abs(np.array(draws) - exact)))


influence = (HIGH - LOW) / len(present)  # of one patient on the mean of ten
print(f"One patient moves the mean by up to {influence:.0f}; epsilon 1 asks for noise of that size.")
few = noise(tools.mean, present, present.mean())
sparse = noise(tools.nanmean, column, present.mean())
print(f"Mean size of the noise, `mean` of the ten values: {few:.1f}")
print(f"`nanmean` of the same with 990 missing: {sparse:.3f}, so epsilon {influence / sparse:.0f}")
assert 17 < few < 22  # a little below 20, as the release is kept within the bounds
assert 0.18 < sparse < 0.22

accountant = BudgetAccountant()
tools.nanmean(column, epsilon=1, bounds=(LOW, HIGH), accountant=accountant)
print("The accountant enters", accountant.total()[0])
assert accountant.total()[0] == 1

total = present.sum()
sums = noise(tools.sum, present, total), noise(tools.nansum, column, total)
print(f"`sum` and `nansum`: {sums[0]:.0f} and {sums[1]:.0f}")
assert 180 < sums[0] < 220 and 180 < sums[1] < 220

variances = (
    noise(tools.var, present, present.var()),
    noise(tools.nanvar, column, present.var()),
)
print(f"`var` and `nanvar`: {variances[0]:.0f} and {variances[1]:.0f}")
assert variances[0] > 1000 and variances[1] < 100
PYTHON
