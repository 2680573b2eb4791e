#!/usr/bin/env bash
# Packages: transitionMatrix 0.5.1 (pandas 3.1.1, NumPy 2.4.6), and the Kaplan-Meier estimate of
#   statsmodels 0.15.0 to compare. Seen 2026-11-29.
#
# Question: how many of a rating class default, by the package's Aalen-Johansen and cohort
#   estimators, where all are observed from the start to the end?
# Good guess: those who did, over those who were there before. The documentation calls
#   Aalen-Johansen the version of Kaplan-Meier for several states; with two they are the same.
# What happens: Aalen-Johansen divides the moves of a date by those who are left after them. Loans
#   are reported by month or year, so many move on one date: of 100 borrowers 62 default, 60 of them
#   in one year, and the rate is 1.54. The moves of the first date are not counted, nor those of the
#   last date before the final states, which the documentation asks for, and one survivor is missed.
#   Ten defaults a year are 0.34 after five years, for 0.5. The cohort estimator counts the move of
#   the last borrower twice and takes his last state for one he started from: one default among 100
#   is 0.02, or 0.0099 if that borrower comes first; a class of one has the rate 2. Rows of the
#   matrix sum up to more than 1. No warning, and the documentation says nothing of this. With
#   thousands of borrowers who move at different instants, as in the package's tests, it is small.
# Why it matters here: banks pool default rates of classes with few borrowers. Each site's error
#   depends on how it reports and numbers them, not on its borrowers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
export MPLBACKEND=Agg MPLCONFIGDIR="$folder"
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transitionMatrix==0.5.1 statsmodels==0.15.0 \
    numpy==2.4.6 pandas==3.1.1 scipy==1.17.1
"$folder/venv/bin/python" 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import pandas as pd
from statsmodels.duration.survfunc import SurvfuncRight
from transitionMatrix import StateSpace
from transitionMatrix.estimators.aalen_johansen_estimator import AalenJohansenEstimator
from transitionMatrix.estimators.cohort_estimator import CohortEstimator

STATES = StateSpace([("0", "performing"), ("1", "default")])
BORROWERS = 100


def by_aalen_johansen(defaults, end):
    """Return the times and default rates; defaults are by year, the last row of each is at end."""
    years = [year for year, number in defaults.items() for _ in range(number)]
    survivors = BORROWERS - len(years)
    rows = [(i, float(year), 0, 1) for i, year in enumerate(years)]
    rows += [(i, float(end), int(i < len(years)), int(i < len(years))) for i in range(BORROWERS)]
    table = pd.DataFrame(rows, columns=["ID", "Time", "From", "To"]).sort_values(["Time", "ID"])
    labels = {name: name for name in table.columns}
    matrices, _ = AalenJohansenEstimator(states=STATES).fit(table, labels=labels)
    curve = SurvfuncRight(years + [end] * survivors, [1] * len(years) + [0] * survivors)
    rates = [round(float(rate), 4) for rate in matrices[0, 1]]
    right = [round(float(1 - rate), 4) for rate in curve.surv_prob]
    print(f"  {defaults}, end {end}: {rates}, Kaplan-Meier {right}")
    return rates, right


def by_cohorts(ends):
    """Return the row of the performing, from their states a year later, borrower by borrower."""
    rows = [(i, time, state) for i, end in enumerate(ends) for time, state in ((0, 0), (1, end))]
    table = pd.DataFrame(rows, columns=["ID", "Time", "State"])
    estimator = CohortEstimator(
        states=STATES, cohort_bounds=[0, 1], ci={"method": "goodman", "alpha": 0.05}
    )
    (matrix,) = estimator.fit(table)
    return [round(float(rate), 4) for rate in matrix[0]]


print("Aalen-Johansen, defaults by year:")
rates, right = by_aalen_johansen({1: 10, 2: 10, 3: 10, 4: 10, 5: 10}, 6)
assert right == [0.1, 0.2, 0.3, 0.4, 0.5]
assert rates[0] == 0 and rates[-1] == rates[-2] == 0.3371  # three times 10 of 89
rates, right = by_aalen_johansen({1: 1, 2: 60, 3: 1}, 6)
assert right == [0.01, 0.61, 0.62] and max(rates) == 1.5385  # 60 of 39
rates, right = by_aalen_johansen({1: 1, 2: 60}, 6)
assert right == [0.01, 0.61] and max(rates) == 0
print("cohorts, one default among 100, [stay, default]:")
last, first = by_cohorts([0] * 99 + [1]), by_cohorts([1] + [0] * 99)
print(f"  the last borrower: {last}; the first: {first}; a class of one: {by_cohorts([1])}")
assert last == [0.99, 0.02] and first == [0.9901, 0.0099]
assert by_cohorts([1]) == [0, 2]
PYTHON
