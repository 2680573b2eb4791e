#!/usr/bin/env bash
# Package: pycanon 1.3.6 with pandas 2.3.3 and NumPy 2.0.2. Seen 2026-11-29.
#
# Question: does the order of a table's rows change how anonymous it is?
# Good guess: no. k, l, t, alpha, beta and delta count who shares a class and a diagnosis, and a
#   data frame keeps its row labels when it is sorted, sampled, filtered or put together.
# What happens: k is right, all others are measured on other people. pycanon finds a class by row
#   labels and takes its rows by position, and the two agree only where labels run 0, 1, 2 and so
#   on. A table whose classes have one diagnosis each (l = 1, t = 0.5) is found 2-diverse and
#   0-close after a sort by date, and so are two hospitals' tables after `pandas.concat`. No
#   warning; only a label beyond the last row raises. The documentation asks for a pandas data
#   frame, and says nothing of its index.
# Why it matters here: that is how a pooled table comes about, and l and t are what the release of
#   it is justified by.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycanon==1.3.6 pandas==2.3.3 numpy==2.0.2
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import pandas as pd
from pycanon import anonymity

warnings.simplefilter("error")


def measure(table):
    columns = (table, ["age"], ["diagnosis"])
    return {
        "k": anonymity.k_anonymity(table, ["age"]),
        "l": anonymity.l_diversity(*columns),
        "t": float(anonymity.t_closeness(*columns)),
        "alpha": anonymity.alpha_k_anonymity(*columns)[0],
        "beta": float(anonymity.basic_beta_likeness(*columns)),
        "delta": round(float(anonymity.delta_disclosure(*columns)), 3),
    }


bare = {"k": 4, "l": 1, "t": 0.5, "alpha": 1.0, "beta": 1.0, "delta": 0.693}
safe = {"k": 4, "l": 2, "t": 0.0, "alpha": 0.5, "beta": 0.0, "delta": 0.0}

table = pd.DataFrame({
    "age": ["20-39"] * 4 + ["40-59"] * 4,
    "diagnosis": ["HIV"] * 4 + ["influenza"] * 4,
    "day": [1, 3, 5, 7, 2, 4, 6, 8],
})
by_day = table.sort_values("day")
print("As entered:              ", measure(table))
print("Sorted by day:           ", measure(by_day))
print("Sorted, numbered anew:   ", measure(by_day.reset_index(drop=True)))
assert measure(table) == measure(by_day.reset_index(drop=True)) == bare
assert measure(by_day) == safe

one = pd.DataFrame({
    "age": ["20-39", "20-39", "40-59", "40-59"],
    "diagnosis": ["HIV", "HIV", "influenza", "influenza"],
})
two = one.iloc[::-1].reset_index(drop=True)
pooled = pd.concat([one, two])
print("Two hospitals, pooled:   ", measure(pooled))
print("Pooled, numbered anew:   ", measure(pooled.reset_index(drop=True)))
assert measure(pooled) == safe
assert measure(pooled.reset_index(drop=True)) == bare
PYTHON
