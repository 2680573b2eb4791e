#!/usr/bin/env bash
# Package: scorecardpy 0.1.9.7 with pandas 2.3.3; SciPy 1.17.1 to compare. Seen 2026-11-29.
#
# Question: how far does a score card separate defaults from the rest, by the KS of `perf_eva`? The
#   points of a card take few values, so many borrowers have the same.
# Good guess: the largest distance between the two distributions of the score, as SciPy's `ks_2samp`
#   has it: 0 for a score that is the same for everybody. The AUC of the same call takes ties so.
# What happens: the borrowers are shuffled, sorted by score, and counted one by one. Those with the
#   same score stay in an order of chance, and the largest distance is sought within them as well.
#   So KS is never too small and, for cards with few values, mostly too large. A constant score has
#   0.33 among 300 loans with 15 defaults, beside an AUC of 0.5. A yes-or-no flag that separates
#   nothing has 0.22. The result depends on `seed`: from 0.11 to 0.41 for the same constant.
#   In a bank of 3000 loans with 150 defaults it is still 0.07. The documentation calls it the
#   Kolmogorov-Smirnov statistic. With a different value for each borrower it is right.
# Why it matters here: banks call a card usable from a KS of 0.2 or 0.3 on. The fewer the defaults,
#   the better a card looks, and a pooled count of points finds less than each bank has found.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
export MPLCONFIGDIR="$folder"
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scorecardpy==0.1.9.7 scikit-learn==1.9.1 pandas==2.3.3 \
    numpy==2.4.6 scipy==1.17.1 matplotlib==3.11.2 setuptools==80.9.0
"$folder/venv/bin/python" -W ignore - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import numpy as np
import pandas as pd
from scipy.stats import ks_2samp
from scorecardpy import perf_eva


def measure(default, chance, **options):
    said = perf_eva(pd.Series(default), pd.Series(chance), show_plot=False, **options)
    right = ks_2samp(chance[default == 1], chance[default == 0]).statistic
    return float(said["KS"]), float(right), float(said["AUC"])


random = np.random.default_rng(0)
for loans in (300, 3000, 30_000):
    default = np.zeros(loans, int)
    default[: loans // 20] = 1
    scores = {
        "constant": np.full(loans, 0.05),
        "flag": np.where(np.arange(loans) % 2 == 0, 0.04, 0.06),
        "one value each": random.random(loans),
    }
    for name, chance in scores.items():
        said, right, auc = measure(default, chance)
        print(f"{loans} loans, {name}: KS {said:.3f}, SciPy {right:.3f}, AUC {auc:.3f}")
        if name == "one value each":
            assert abs(said - right) < 1e-4
        else:
            assert right < 0.04
            assert said > right + 0.01
            assert loans > 300 or said > 0.15

default = np.zeros(300, int)
default[:15] = 1
found = [measure(default, np.full(300, 0.05), seed=seed)[0] for seed in range(100)]
print(f"constant, 100 seeds: {min(found):.2f} to {max(found):.2f}, median {np.median(found):.2f}")
assert min(found) > 0.08
assert max(found) > 0.35
PYTHON
