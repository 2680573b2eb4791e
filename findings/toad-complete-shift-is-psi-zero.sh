#!/usr/bin/env bash
# Package: toad 0.1.7 with pandas 2.3.3, NumPy 2.4.6 and scikit-learn 1.9.1. Seen 2026-11-29.
#
# Question: how far have the borrowers moved, by the population stability index, PSI? And how good
#   is their score, by `AUC`?
# Good guess: the PSI grows with the shift. A group that is new or gone makes it infinite, or large
#   where empty groups are smoothed. Many banks call 0.1 stable and act from 0.25 on. The AUC is
#   that of the ranking, as in any other package.
# What happens: a group that only one of the two tables has is left out of the sum. If all customers
#   come from a new channel the PSI is 0, the value of no change. Half of them: 0.35, of those who
#   stayed. Scores or probabilities that were not binned hardly ever repeat, so their PSI is 0 for
#   any shift; a combiner for the bins is optional, and people pass scores as they are. With bins, a
#   shift far enough to empty some of them has a smaller PSI than a shorter one. `AUC` turns the
#   score around if its largest value is above 1: 0.75 for probabilities, 0.25 for their log-odds,
#   which rank the same. It may be meant for points, where more is better. Nothing warns, and the
#   docstrings say none of this.
# Why it matters here: the PSI decides whether a score is still used, site by site. The site whose
#   borrowers changed most seems the most stable. A model that gives log-odds has two AUCs, by
#   whether one borrower of the site is above 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet toad==0.1.7 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1 \
    scikit-learn==1.9.1
cd "$folder"
"$folder/venv/bin/python" 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from toad.metrics import AUC, PSI
from toad.transform import Combiner


def smoothed(test, base):
    """Return the PSI, where each group counts half a record more."""
    groups = sorted({*test, *base})
    counts = [pd.Series(part).value_counts().reindex(groups, fill_value=0) for part in (test, base)]
    new, old = ((count + 0.5) / (count + 0.5).sum() for count in counts)
    return float(((new - old) * np.log(new / old)).sum())


print("channels of 1000 borrowers, before and after:")
seen = []
for before, after in (
    ({"branch": 1000}, {"online": 1000}),
    ({"branch": 1000}, {"branch": 500, "online": 500}),
    ({"branch": 999, "online": 1}, {"branch": 500, "online": 500}),
):
    base, test = (pd.Series([one for one, n in part.items() for _ in range(n)])
                  for part in (before, after))
    seen.append((float(PSI(test, base)), smoothed(test, base)))
    print(f"  {before} -> {after}: PSI {seen[-1][0]:.3f}, smoothed {seen[-1][1]:.3f}")
assert seen[0][0] == 0 and seen[0][1] > 10
assert 0.34 < seen[1][0] < 0.35 and seen[1][1] > 3 and seen[2][0] > 3

rng = np.random.default_rng(0)
base = rng.normal(size=5000)
defaults = (rng.random(5000) < 1 / (1 + np.exp(-base))).astype(int)
print("scores, moved by standard deviations:")
combiner = Combiner()
combiner.fit(pd.DataFrame({"score": base, "y": defaults}), y="y", method="quantile", n_bins=10)
bins = {}
for shift in (0.5, 2, 5):
    test = rng.normal(shift, 0.3, size=5000)
    raw = float(PSI(test, base))
    tables = [pd.DataFrame({"score": part}) for part in (test, base)]
    bins[shift] = float(PSI(*tables, combiner=combiner)["score"])
    new, old = (combiner.transform(table)["score"].tolist() for table in tables)
    print(f"  {shift}: PSI {raw}, in ten bins {bins[shift]:.2f}, smoothed {smoothed(new, old):.2f}")
    assert raw == 0
    assert smoothed(new, old) > bins[shift] + 1

assert bins[5] < bins[2]

print("AUC of one ranking:")
probabilities = 1 / (1 + np.exp(-base))
right = roc_auc_score(defaults, base)
as_given, as_odds = AUC(probabilities, defaults), AUC(base, defaults)
print(f"  probabilities {as_given:.3f}, log-odds {as_odds:.3f}, scikit-learn {right:.3f} for both")
assert abs(as_given - right) < 1e-9 and abs(as_odds - (1 - right)) < 1e-9 and right > 0.7
PYTHON
