#!/usr/bin/env bash
# Packages: zepid 0.9.1 (zEpid, epidemiology) with pandas 2.3.3 and statsmodels 0.15.0; scikit-learn
#   1.9.1 to compare. Seen 2026-11-29.
#
# Question: how sensitive and how specific is a test, by `Sensitivity`, `Specificity` and
#   `Diagnostics` of a table with one row a person?
# Good guess: the share of the ill whom it finds, and of the well whom it leaves alone. The
#   documentation says so: TP / P, with P the ill.
# What happens: the shares are taken of those with one test result. "Sensitivity" is the positive
#   predictive value, "specificity" the negative one. A screening test that finds 180 of 200 ill
#   people and is positive in 490 of 9800 well ones has a sensitivity of 0.90 and a specificity of
#   0.95; the package says 0.269 and 0.998, with narrow intervals around them. In a clinic where
#   200 of 400 are ill, the same test comes out as 0.947 and 0.905, which looks right.
#   The two-by-two table that `summary` prints above is correct. So are the functions
#   `zepid.calc.sensitivity` and `specificity`, which are given the totals. No warning, and the
#   intervals are those of the wrong shares.
# Why it matters here: sensitivity is carried from one hospital to another because it does not
#   depend on how frequent the disease is. These values do: between hospitals they differ for it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet zepid==0.9.1 scikit-learn==1.9.1 statsmodels==0.15.0 \
    pandas==2.3.3 numpy==2.4.6 scipy==1.17.1 matplotlib==3.11.2 tabulate==0.10.0
"$folder/venv/bin/python" -W ignore - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import numpy as np
import pandas as pd
from sklearn.metrics import precision_score, recall_score
from zepid import Diagnostics
from zepid.calc import sensitivity, specificity

for place, ill, well in (("screening", 200, 9800), ("clinic", 200, 200)):
    found, alarms = ill * 9 // 10, well // 20
    rows = [(1, 1)] * found + [(0, 1)] * (ill - found)
    rows += [(1, 0)] * alarms + [(0, 0)] * (well - alarms)
    people = pd.DataFrame(rows, columns=["test", "disease"])
    seen = Diagnostics()
    seen.fit(people, test="test", disease="disease")
    said = [
        float(seen.sensitivity.results["Sensitivity"].iloc[0]),
        float(seen.specificity.results["Specificity"].iloc[0]),
    ]
    shares, values = [], []
    for case in (1, 0):
        shares.append(recall_score(people["disease"], people["test"], pos_label=case))
        values.append(precision_score(people["disease"], people["test"], pos_label=case))
    print(f"{place}: sensitivity and specificity {np.round(shares, 3)}, zepid {np.round(said, 3)}")
    assert np.allclose(shares, [0.90, 0.95])
    assert np.allclose(said, values)
    of_totals = [sensitivity(found, ill)[0], specificity(alarms, well)[0]]
    assert np.allclose(of_totals, shares)
    if place == "screening":
        assert said[0] < 0.27
        assert seen.sensitivity.results["Se_UCL"].iloc[0] < 0.31
PYTHON
