#!/usr/bin/env bash
# Package: confidenceinterval 1.0.5 (scikit-learn 1.9.1, SciPy 1.17.1). Seen 2026-11-30.
#
# Question: how sure is the macro F1 (precision, recall) of a model, by the package's analytic 95 %
#   intervals, its default?
# Good guess: an interval that holds the truth in 95 of 100 samples. The docstrings give the
#   variance: d' [diag(p) - pp'] d, the delta method for a table of shares p (Takahashi and others,
#   Applied Intelligence 2022, 52:4961, for F1).
# What happens: the code has `diag(p) - p * p.transpose()`. Of a flat array that is not the matrix
#   pp' but each share squared, taken off every row. For macro F1 the terms of the article's formula
#   are mixed: a product is a sum, and shares are counts.
#   A disease in 2 % of 1000 patients, of whom the model finds 15 of 20 with 30 false alarms: macro
#   F1 is 0.722 +- 0.050, where it is +- 0.077; precision +- 0.040 for 0.069. They hold the truth in
#   79 and 72 of 100 samples. Two equal classes, 90 % right: F1 is 0.90 +- 0.105, for 0.042.
#   The package's own bootstrap gives the right widths. `classification_report_with_ci` prints the
#   wrong ones (its README's own macro F1 is 0.83, from 0.55 to 1.11). The intervals of one class,
#   Wilson's and DeLong's, are right, but that of the binary F1 is the same product: 23 % too wide
#   for the equal classes. No warning.
# Why it matters here: with the rare class that matters the interval is much too narrow. Two
#   hospitals' models then differ "significantly" when they do not.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 pandas==2.3.3 scipy==1.17.1 \
    scikit-learn==1.9.1 statsmodels==0.15.0
# It asks for an old setuptools, which it does not use.
"$folder/venv/bin/pip" install --quiet --no-deps confidenceinterval==1.0.5
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from math import isclose

import numpy as np
from confidenceinterval import f1_score, precision_score, recall_score
from sklearn import metrics

RANDOM = np.random.default_rng(1)


def measures(table):
    """Return macro precision, macro recall, macro F1 and the last class's F1 of a table."""
    hits = np.diag(table)
    f1 = 2 * hits / (table.sum(0) + table.sum(1))
    return np.array([(hits / table.sum(0)).mean(), (hits / table.sum(1)).mean(), f1.mean(), f1[-1]])


def right(table):
    """Return half the widths of the 95 % intervals by the delta method, derived by differences."""
    shares, step = table / table.sum(), 1e-6
    slopes = []
    for place in np.ndindex(shares.shape):
        more, less = shares.copy(), shares.copy()
        more[place] += step
        less[place] -= step
        slopes.append((measures(more) - measures(less)) / (2 * step))
    slopes, flat = np.array(slopes), shares.ravel()
    covariance = np.diag(flat) - np.outer(flat, flat)
    return 1.96 * np.sqrt(np.diag(slopes.T @ covariance @ slopes) / table.sum())


def labels(table):
    truth, found = np.divmod(np.repeat(np.arange(table.size), table.ravel()), len(table))
    return truth, found


def package(table):
    """Return the measures and half the widths, by the package."""
    pair = labels(table)
    said = [score(*pair, average="macro") for score in (precision_score, recall_score, f1_score)]
    said.append(f1_score(*pair, average="binary"))
    return np.array([value for value, _ in said]), np.array([(b - a) / 2 for _, (a, b) in said])


for name, table in (
    ("rare", np.array([[950, 30], [5, 15]])),
    ("equal", np.array([[90, 10], [10, 90]])),
):
    values, halves = package(table)
    widths = right(table)
    pair = labels(table)
    assert isclose(values[2], metrics.f1_score(*pair, average="macro"), abs_tol=1e-6)
    assert np.allclose(values, measures(table), atol=1e-6)
    _, (low, high) = f1_score(
        *pair, average="macro", method="bootstrap_percentile", n_resamples=500, random_state=RANDOM
    )
    shares, kept, kept_right = table.ravel() / table.sum(), np.zeros(4), np.zeros(4)
    for _ in range(500):
        sample = RANDOM.multinomial(table.sum(), shares).reshape(2, 2)
        drawn, around = package(sample)
        kept += abs(drawn - values) <= around
        kept_right += abs(drawn - values) <= right(sample)
    print(f"{name} (macro precision, recall, F1; binary F1): {values.round(3)}")
    print(f"  +- {halves.round(3)}, holds the truth in {kept / 5} %")
    print(f"  right: +- {widths.round(3)}, in {kept_right / 5} %")
    print(f"  the package's bootstrap, macro F1: +- {(high - low) / 2:.3f}")
    assert isclose((high - low) / 2, widths[2], rel_tol=0.1)
    assert (kept_right / 5 > 88).all()
    if name == "rare":
        assert halves[0] < 0.6 * widths[0] and halves[2] < 0.66 * widths[2]
        assert kept[0] / 5 < 80 and kept[2] / 5 < 85
    else:
        assert halves[2] > 2.4 * widths[2] and isclose(halves[3] / widths[3], 1.23, abs_tol=0.05)
PYTHON
