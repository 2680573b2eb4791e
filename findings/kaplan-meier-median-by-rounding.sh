#!/usr/bin/env bash
# Packages: lifelines 0.30.3, statsmodels 0.15.0. Seen 2026-11-29.
#
# Question: what is the median survival of an even number of people, one death a month, nobody
#   censored? After half of them the Kaplan-Meier curve is at 1/2 exactly.
# Good guess: one rule for all sizes: the month at which the curve reaches 1/2 (lifelines: "the
#   time point t such that S(t) = p"), or the first after it (statsmodels compares strictly), or the
#   middle of both (R).
# What happens: both compare a floating-point product with 1/2, and its rounding decides. lifelines
#   takes month n/2 for some n and month n/2 + 1 for others; so does statsmodels, for other n. In
#   lifelines the same curve, from every record written twice, often has another median.
# Why it matters here: a pooled curve from exact counts and a local curve have other roundings. The
#   medians may differ by a whole gap between events, on equal data.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lifelines==0.30.3 statsmodels==0.15.0 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import numpy as np
from lifelines import KaplanMeierFitter
from statsmodels.duration.survfunc import SurvfuncRight


def by_lifelines(months):
    return int(KaplanMeierFitter().fit(months, np.ones(len(months))).median_survival_time_)


def by_statsmodels(months):
    return int(SurvfuncRight(months, np.ones(len(months))).quantile(0.5))


sizes = range(2, 61, 2)
for name, median in (("lifelines", by_lifelines), ("statsmodels", by_statsmodels)):
    steps = {n: median(np.arange(1.0, n + 1)) - n // 2 for n in sizes}
    assert set(steps.values()) == {0, 1}
    at_half = [n for n, step in steps.items() if step == 0]
    print(f"{name}: month n/2 for n = {at_half}, month n/2 + 1 for the other even n up to 60")
changed = [
    n for n in sizes
    if by_lifelines(np.arange(1.0, n + 1)) != by_lifelines(np.repeat(np.arange(1.0, n + 1), 2))
]
print(f"lifelines: every record twice gives another median for n = {changed}")
assert changed
apart = [
    n for n in sizes
    if by_lifelines(np.arange(1.0, n + 1)) != by_statsmodels(np.arange(1.0, n + 1))
]
print("the two packages differ for n =", apart)
assert apart
PYTHON
