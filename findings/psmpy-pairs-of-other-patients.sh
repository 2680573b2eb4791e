#!/usr/bin/env bash
# Package: psmpy 0.3.16 (propensity score matching; pandas 2.3.3, scikit-learn 1.9.1). Seen
#   2026-11-30.
#
# Question: a treated patient is to have two untreated ones with the same propensity score. Who are
#   they, and is mortality lower with the treatment?
# Good guess: `matched_ids` of `kdtree_matched_12n` has in each row a patient and his own matches.
#   The outcome takes no part: `target`, by default "outcome", is documented in the class as
#   "outcome variable of interest, will ignore in regression/matching".
# What happens:
# * The matches are found round by round, all patients in each, and put into the table row by row.
#   So from two matches on, a row has the matches of other patients: 15 years older or younger on
#   average, though each patient has two untreated ones of exactly his age. They are found, and
#   stand in other rows. `df_matched`, the people without their pairs, is correct, and so is the
#   balance that the package shows.
# * `target` is stored and not used. The outcome is a covariate of the propensity score, so that the
#   matched have the outcome of the treated: a treatment that halves mortality has no effect. The
#   README has no `target`, and says that all columns are used but those in `exclude`.
# * With `balance`, the default, untreated patients are scored in parts of the table, each by a
#   model of its own. In a table sorted by age, matches are ten years apart; in a shuffled one, two;
#   without `balance`, none. The README describes the parts, not that they are taken in order.
#   No warning in any case.
# Why it matters here: McNemar's test, and conditional and stratified regression, compare within
#   pairs. These are strangers, and nothing that the package prints shows it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
export MPLBACKEND=Agg MPLCONFIGDIR="$folder"
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet psmpy==0.3.16 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1 \
    scikit-learn==1.9.1 matplotlib==3.11.2 seaborn==0.13.2
"$folder/venv/bin/python" -W ignore - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import numpy as np
import pandas as pd
from psmpy import PsmPy

# 100 treated patients, more of them old; 18 untreated ones of each age. One in ten of the treated
# dies, and two in ten of the others.
rows = []
for age in range(40, 90):
    rows += [(1, age, int((3 * age + n) % 10 == 0)) for n in range(1 if age < 65 else 3)]
    rows += [(0, age, int((18 * age + n) % 5 == 0)) for n in range(18)]
by_age = pd.DataFrame(rows, columns=["treated", "age", "outcome"])
shuffled = by_age.sample(frac=1, random_state=1).reset_index(drop=True)
shuffled.insert(0, "id", np.arange(1000))
by_age = shuffled.sort_values(["age", "id"])
people = shuffled.set_index("id")
assert people.groupby("treated")["outcome"].mean().tolist() == [0.2, 0.1]


def scored(table, balance=False, **arguments):
    found = PsmPy(table.copy(), treatment="treated", indx="id", **arguments)
    found.logistic_ps(balance=balance)
    return found


def gap(ones, others):
    """Return the mean difference in age between patients and their matches."""
    ages = people["age"]
    apart = [abs(ages[one] - ages[other]) for one, row in zip(ones, others) for other in row]
    return float(np.mean(apart))


print("years between a patient and his matches:")
for number in (1, 2, 3):
    found = scored(shuffled, exclude=["outcome"])
    found.kdtree_matched_12n(how_many=number)
    ones, others = found.matched_ids["id"], found.matched_ids.iloc[:, 1:].to_numpy()
    by_rounds = others.ravel().reshape(number, -1).T  # as they were found
    years, right = gap(ones, others), gap(ones, by_rounds)
    print(f"  {number} each: {years:.1f}; taken by rounds {right:.1f}")
    assert right == 0
    assert years == 0 if number == 1 else years > 14

print("mortality of the treated, and of their matches:")
for arguments in ({}, {"target": "outcome"}, {"exclude": ["outcome"]}):
    found = scored(shuffled, **arguments)
    found.kdtree_matched()
    treated = people.loc[found.matched_ids["id"], "outcome"].mean()
    others = people.loc[found.matched_ids["matched_ID"], "outcome"].mean()
    print(f"  {arguments}: {treated:.2f}, {others:.2f}")
    assert treated == 0.10
    assert others > 0.17 if "exclude" in arguments else others == 0.10

print("years apart, with and without the default `balance`:")
years = {}
for name, table in (("shuffled", shuffled), ("by age", by_age)):
    for balance in (True, False):
        found = scored(table, balance, exclude=["outcome"])
        found.kdtree_matched()
        pairs = found.matched_ids
        years[name, balance] = gap(pairs["id"], pairs[["matched_ID"]].to_numpy())
        print(f"  {name}, balance {balance}: {years[name, balance]:.1f}")
assert years["shuffled", False] == years["by age", False] == 0
assert years["shuffled", True] < 4 and years["by age", True] > 9
PYTHON
