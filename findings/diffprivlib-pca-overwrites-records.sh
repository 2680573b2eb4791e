#!/usr/bin/env bash
# Package: diffprivlib 0.6.6 with scikit-learn 1.7.2, pandas 2.3.3 and NumPy 2.3.5. Seen 2026-11-29.
#
# Question: what is left of a hospital's table after a private principal component analysis of it?
# Good guess: all of it. `copy=True` is the default, and the documentation says that data passed to
#   `fit` are overwritten "if False". scikit-learn's own PCA leaves them alone.
# What happens: the private mean is subtracted from the caller's own records, whatever `copy` says:
#   an array, or a data frame whose columns are all floats. Ages with a mean of 50 have a mean of 0
#   from then on.
#   - `fit_transform` is wrong itself: it overwrites the table, and then subtracts the mean from it
#     once more. Its components are around -73 and -19, where those of `fit(X).transform(Y)`, for an
#     equal Y, are around 0.
#   - The next private statistic is wrong without a sign: bounds of 0 to 100, as declared, make 0 of
#     each negative value, so the private mean of an age is 4 and not 50.
#   Integers are copied on the way, so a first test with whole years finds nothing. No warning.
# Why it matters here: one table serves many questions, and a budget is spent on each. After this
#   one the answers are wrong, and what they cost is spent.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diffprivlib==0.6.6 scikit-learn==1.7.2 pandas==2.3.3 \
    numpy==2.3.5 scipy==1.17.1
"$folder/venv/bin/python" -W ignore - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import numpy as np
import pandas as pd
from diffprivlib import tools
from diffprivlib.models import PCA
from sklearn import decomposition

records = np.random.default_rng(0).normal(50, 10, (2000, 3)).clip(0, 100)
OPTIONS = {"n_components": 2, "epsilon": 100.0, "bounds": (0, 100), "data_norm": 100.0}


def private_pca():
    return PCA(copy=True, random_state=0, **OPTIONS)


def private_mean(table):
    return tools.mean(table, epsilon=10.0, bounds=(0, 100), axis=0, random_state=0)


table = records.copy()
decomposition.PCA(2).fit(table)
assert (table == records).all()
before = private_mean(table)
fitted = private_pca().fit(table)
after = private_mean(table)
print("mean of the records     ", records.mean(axis=0).round(2), "then", table.mean(axis=0).round(2))
print("private mean, epsilon 10", before.round(2), "then", after.round(2))
assert np.allclose(before, records.mean(axis=0), atol=0.2)
assert np.allclose(table, records - fitted.mean_)
assert (after < 5).all()

frame = pd.DataFrame(records.copy(), columns=["age", "weight", "pulse"])
private_pca().fit(frame)
print("data frame, means       ", frame.mean().round(2).to_dict())
assert (frame.mean().abs() < 0.1).all()

right = private_pca().fit(records.copy()).transform(records)
wrong = private_pca().fit_transform(records.copy())
print("components, means: fit and transform", right.mean(axis=0).round(2), end=", ")
print("fit_transform", wrong.mean(axis=0).round(2))
assert np.abs(right.mean(axis=0)).max() < 0.1
assert np.abs(wrong.mean(axis=0)).max() > 50

whole = records.astype(int)
same = whole.copy()
private_pca().fit(same)
assert (same == whole).all()
PYTHON
