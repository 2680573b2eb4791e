#!/usr/bin/env bash
# Package: iaa-kit 0.1.2 (agreement of annotators); krippendorff 0.9.0, irrCAC 0.4.4 and scikit-learn
#   1.7.2 to compare. Seen 2026-11-30.
#
# Question: how well do two annotators of clinical texts agree, beyond chance?
# Good guess: the published coefficients, which the documentation names, "missing-data handling"
#   among them: Krippendorff's alpha, weighted kappa, and Gwet's AC2, which is there because kappa is
#   low wherever a finding is rare.
# What happens:
# * Krippendorff's alpha takes the disagreement expected by chance from all labels, also of texts
#   that one annotator read alone. By definition these have no pair and do not count. Where the
#   second annotator reads mainly texts in which the first found something, alpha is 0.54 for 0.70.
# * `ac2` calls weighted kappa. For a finding that both deny in 95 of 100 texts it is -0.02; with two
#   categories AC2 is AC1, which the package gives as 0.95.
# * Weighted kappa orders the labels as texts: 10 stands between 1 and 2. Pain from 0 to 10, in which
#   two nurses differ by at most 1, has a quadratic kappa of 0.78 for 0.97. The same values divided
#   by 10 have 0.97. `analyze` of the command line has both faults, kappa's and alpha's.
# * Ordinal alpha is the interval alpha.
# * The prevalence index of Byrt (J Clin Epidemiol 1993, 46:423) compares how often both say yes with
#   how often both say no; here it is how often they agree: 1 for a balanced finding, for 0.
#   No warning. "Ordinal" has the formula of "interval" in the code; the documentation has no word.
# Why it matters here: labels of a hospital are accepted or annotated anew by such a number.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet iaa-kit==0.1.2 krippendorff==0.9.0 irrCAC==0.4.4 \
    scikit-learn==1.7.2 numpy==1.26.4 scipy==1.12.0 pandas==2.3.3
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from math import isclose

import krippendorff
import numpy as np
import pandas as pd
from iaa_kit import ac1, ac2, alpha_value, prevalence_index, weighted_kappa
from irrCAC.raw import CAC
from sklearn.metrics import cohen_kappa_score


def published_alpha(pairs, scale):
    rows = [[np.nan if label is None else label for label in pair] for pair in pairs]
    return krippendorff.alpha(np.array(rows, dtype=float).T, level_of_measurement=scale)


# a hundred texts with the finding, in 10 of which the second overlooks it; of 900 others the
# second reads 50, and reports it in 10
texts = [(1, 1)] * 90 + [(1, 0)] * 10 + [(0, 0)] * 40 + [(0, 1)] * 10
alone = [(0, None)] * 850
said, right = alpha_value(texts + alone), published_alpha(texts + alone, "nominal")
print(f"read by both: alpha {alpha_value(texts):.3f}, krippendorff {right:.3f}")
print(f"with 850 that one read alone: alpha {said:.3f}")
assert isclose(alpha_value(texts), right) and isclose(published_alpha(texts, "nominal"), right)
assert isclose(right, 0.701, abs_tol=1e-3) and isclose(said, 0.536, abs_tol=1e-3)

first, second = [0] * 95 + [1] * 2 + [0] * 3, [0] * 95 + [0] * 2 + [1] * 3
table = pd.DataFrame({"first": first, "second": second})
gwet = CAC(table, weights="linear").gwet()["est"]["coefficient_value"]
print(f"rare finding: AC2 {ac2(first, second):.3f}, irrCAC {gwet}, AC1 {ac1(first, second):.3f}")
assert isclose(gwet, ac1(first, second), abs_tol=1e-5) and gwet > 0.94
assert isclose(ac2(first, second), cohen_kappa_score(first, second)) and ac2(first, second) < 0

rng = np.random.default_rng(1)
pain = rng.integers(0, 11, 200)
other = np.clip(pain + rng.integers(-1, 2, 200), 0, 10)
pain, other = pain.tolist(), other.tolist()
for weight in ("linear", "quadratic"):
    said = weighted_kappa(pain, other, weight)
    tenths = weighted_kappa([a / 10 for a in pain], [b / 10 for b in other], weight)
    right = cohen_kappa_score(pain, other, weights=weight)
    print(f"pain, {weight} kappa {said:.3f}; in tenths {tenths:.3f}; scikit-learn {right:.3f}")
    assert isclose(tenths, right) and right - said > 0.1

stages = [(1, 1)] * 60 + [(1, 4)] * 5 + [(2, 3)] * 5 + [(4, 4)] * 20 + [(3, 4)] * 10
said, right = alpha_value(stages, "ordinal"), published_alpha(stages, "ordinal")
print(f"stages: ordinal alpha {said:.3f}, krippendorff {right:.3f}")
assert isclose(said, published_alpha(stages, "interval")) and abs(said - right) > 0.01

balanced = [1] * 50 + [0] * 50
print("prevalence index of a finding in half of the texts:", prevalence_index(balanced, balanced))
assert prevalence_index(balanced, balanced) == 1
PYTHON
