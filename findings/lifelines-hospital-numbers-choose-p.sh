#!/usr/bin/env bash
# Package: lifelines 0.30.3. Seen 2026-11-29.
#
# Question: do hazards stay proportional in a Cox model that is stratified by hospital? Does the
#   answer depend on the numbers by which the hospitals are called, or on the order of the rows?
# Good guess: no. The strata have no order, and neither have rows; the coefficients are the same.
# What happens: `proportional_hazard_test`, and `check_assumptions` which uses it, take by default
#   the "rank" of the event times for the time. It is a running count of events over the rows as the
#   model keeps them: by stratum first, then by time. So the test is whether residuals change from
#   hospital to hospital. If the 18 hospitals of the lung trial get other numbers, the p-value of
#   each column is anything from below 0.3 to 0.98; of two columns, from below 0.04.
#   Without strata, deaths of one month have as many ranks as there are deaths, in the order of the
#   file: sorted by sex, the test of sex says p = 0.03; sorted the other way, p = 0.25.
#   The other transforms ("identity", "log", "km") give one answer. The documentation calls "rank"
#   the one that "performs well", and says nothing of ties or strata. A change was proposed in
#   September 2026 and is in no release.
# Why it matters here: a stratified model is how hospitals share a Cox model. Tables put together
#   site by site are in the order of sites.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lifelines==0.30.3 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" -W ignore - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import numpy as np
from lifelines import CoxPHFitter
from lifelines.datasets import load_lung
from lifelines.statistics import proportional_hazard_test

columns = ["age", "sex", "ecog"]
lung = load_lung().rename(columns={"ph.ecog": "ecog"}).dropna(subset=["ecog", "inst"])
lung["month"] = np.ceil(lung["time"] / 30.4375)
lung = lung[["month", "status", "inst", *columns]].reset_index(drop=True)
numbers = np.unique(lung["inst"])


def fit_and_test(table, strata, transforms):
    model = CoxPHFitter().fit(table, "month", "status", strata=strata)
    tests = [proportional_hazard_test(model, table, time_transform=each) for each in transforms]
    return model.params_.to_numpy(), [test.p_value for test in tests]


random = np.random.default_rng(0)
coefficients, chances = [], []
for _ in range(40):
    renamed = dict(zip(numbers, random.permutation(numbers)))
    table = lung.assign(inst=lung["inst"].map(renamed))
    found, p_values = fit_and_test(table, ["inst"], ["rank", "identity", "km"])
    coefficients.append(found)
    chances.append(p_values)
assert np.ptp(coefficients, axis=0).max() < 1e-12
lowest, highest = np.min(chances, axis=0), np.max(chances, axis=0)
print(f"{len(numbers)} hospitals renamed 40 times, p-values of {columns}:")
for k, transform in enumerate(("rank", "identity", "km")):
    print(f"  {transform}: from {lowest[k].round(3)} to {highest[k].round(3)}")
assert lowest[0].max() < 0.3
assert sorted(lowest[0])[1] < 0.04
assert highest[0].min() > 0.95
assert np.allclose(lowest[1], highest[1])

plain = lung.drop(columns="inst")
for column in ("sex", "ecog"):
    both = []
    for ascending in (True, False):
        table = plain.sort_values(column, ascending=ascending).reset_index(drop=True)
        _, (rank, identity) = fit_and_test(table, None, ["rank", "identity"])
        both.append((rank[columns.index(column)], identity[columns.index(column)]))
    print(f"sorted by {column}, up and down: rank {both[0][0]:.3f}, {both[1][0]:.3f};", end=" ")
    print(f"identity {both[0][1]:.3f}, {both[1][1]:.3f}")
    assert both[0][0] < 0.05 < 0.2 < both[1][0] or both[1][0] < 0.05 < 0.2 < both[0][0]
PYTHON
