#!/usr/bin/env bash
# Package: meliora 0.1.2 (tests of credit risk models; SciPy 1.17.1, pandas 2.3.3). Seen 2026-11-30.
#
# Question: are the default rates that a bank predicted the ones that came, and do its scores tell
#   who defaults? Spiegelhalter's test, the normal test, the Brier score and the KS statistic answer
#   this (Basel Committee, working paper 14, 2005; the package refers to it).
# Good guess: where 30 % default instead of 3 %, the tests reject. The README says that all were
#   replicated in R, MATLAB and SAS.
# What happens:
# * Spiegelhalter's test takes the default rates of the grades for single outcomes of 0 and 1. Three
#   grades were to default at 1, 3 and 10 % and do at 10, 30 and 50 %: z is -1.0, and it accepts; by
#   borrowers z is 69. The package's own inner function says so, too, if it is given borrowers.
#   `alpha_level` is not passed on, and what is documented as a p-value is z.
# * The normal test is a t-test of the years' differences. It divides by the wrong sum: it has
#   `a - b / (n - 1)` for `(a - b) / (n - 1)`. For five years at 8 to 12 % instead of 2 % it says
#   t = -1.1, for 11.3. Its `p_value` is one minus half a p-value: the worse the years, the higher.
# * The Brier score is documented as the mean over the outcomes (0.113 in its example). It is the
#   sum of squares over the grades: 0 for calibrated grades, whatever they tell.
# * The KS statistic compares the flags, 0 and 1, with the predicted rates, not the rates of the
#   defaulted with those of the others: 0.9 for a perfect model, a useless one and one turned
#   around, because 90 % did not default.
# * `pearson_correlation` is Spearman's.
#   Nothing warns. The binomial, Jeffreys' and Hosmer and Lemeshow's tests are right.
# Why it matters here: such a report is what a bank signs. A site whose model is ten times off
#   passes with the same KS as all others.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 pandas==2.3.3 scipy==1.17.1 scikit-learn==1.9.1
# It asks for a package "sklearn" that cannot be installed.
"$folder/venv/bin/pip" install --quiet --no-deps meliora==0.1.2
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from math import isclose, sqrt

import numpy as np
import pandas as pd
from meliora import core
from scipy.stats import ks_2samp, ttest_1samp

COLUMNS = ("grade", "default", "predicted")


def portfolio(*grades):
    """Return borrowers by grades of (borrowers, defaults, predicted rate)."""
    rows = [
        (name, int(number < defaults), predicted)
        for name, (borrowers, defaults, predicted) in enumerate(grades)
        for number in range(borrowers)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def spiegelhalter(y, p):
    return ((y - p) * (1 - 2 * p)).sum() / sqrt(((1 - 2 * p) ** 2 * p * (1 - p)).sum())


as_predicted = portfolio((1000, 10, 0.01), (1000, 30, 0.03), (1000, 100, 0.10))
much_worse = portfolio((1000, 100, 0.01), (1000, 300, 0.03), (1000, 500, 0.10))

print("Spiegelhalter's z, and by borrowers; Brier score, and by borrowers:")
for name, table, z, brier in (
    ("as predicted", as_predicted, 0.0, 0.043),
    ("much worse", much_worse, 68.7, 0.264),
):
    said, rejected = core.spiegelhalter_test(table, *COLUMNS)
    right = spiegelhalter(table["default"], table["predicted"])
    inner, _ = core._spiegelhalter(table["default"], table["predicted"])
    score = core.brier_score(table, *COLUMNS)
    mean = ((table["default"] - table["predicted"]) ** 2).mean()
    print(f"  {name}: {said:.2f} (rejected: {rejected}), {right:.2f}; {score:.3f}, {mean:.3f}")
    assert not rejected and -1.1 < said < 0
    assert isclose(right, z, abs_tol=0.1) and isclose(inner, right, abs_tol=1e-6)
    assert isclose(mean, brier, abs_tol=0.001)
assert core.brier_score(as_predicted, *COLUMNS) == 0
assert core.hosmer_test(much_worse, *COLUMNS)[1] and not core.hosmer_test(as_predicted, *COLUMNS)[1]
assert core.binomial_test(much_worse, *COLUMNS)["Reject H0"].all()
assert core.jeffreys_test(much_worse, *COLUMNS)["Reject H0"].all()

print("normal test, five years at 2 %:")
predicted = np.full(5, 0.02)
values = []
for years in ([0.019, 0.021, 0.023, 0.018, 0.022], [0.08, 0.10, 0.09, 0.11, 0.12]):
    right = ttest_1samp(np.array(years) - predicted, 0).statistic
    said = core.normal_test(predicted, np.array(years)).iloc[0]
    values.append((said["t_stat"], said["p_value"], right))
    print(f"  {years}: t {said['t_stat']:.2f} (right: {right:.2f}), p {said['p_value']:.2f}")
assert isclose(values[1][0], -1.13, abs_tol=0.01) and isclose(values[1][2], 11.31, abs_tol=0.01)
assert 0.5 < values[0][1] < values[1][1] < 0.9

print("KS of 100 who default and 900 who do not, and of their rates:")
defaults = np.repeat([1, 0], [100, 900])
for name, rates, right in (
    ("perfect", np.where(defaults, 0.9, 0.05), 1),
    ("turned around", np.where(defaults, 0.05, 0.9), 1),
    ("useless", np.full(1000, 0.1), 0),
):
    table = pd.DataFrame({"default": defaults, "rate": rates})
    said = core.kolmogorov_smirnov_stat(table, "default", "rate").statistic
    ks = ks_2samp(rates[defaults == 1], rates[defaults == 0]).statistic
    print(f"  {name}: {said}, {ks}")
    assert said == 0.9 and ks == right

ones, others = pd.Series([1, 2, 3, 4, 100]), pd.Series([1, 2, 3, 4, 5])
said = core.pearson_correlation(ones, others).statistic
print(f"Pearson's correlation: {said:.2f}, right {np.corrcoef(ones, others)[0, 1]:.2f}")
assert isclose(said, 1) and np.corrcoef(ones, others)[0, 1] < 0.73
PYTHON
