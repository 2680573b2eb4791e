#!/usr/bin/env bash
# Package: xgboost-cpu 3.2.0. Seen 2026-11-29.
#
# Question: what does a weight of 3 mean for a record in survival analysis?
# Good guess: the same as three copies of the record. The documentation of `DMatrix` calls it the
#   weight of each instance, and for `survival:aft` it is so, to six digits. Cox regression with
#   Breslow's ties, which XGBoost uses, has the same property by algebra.
# What happens: `survival:cox` multiplies a record's own gradient by its weight, but counts the
#   record once in every risk set. Trees that can fit each group give the hazard ratios of the
#   unweighted data. The metric `cox-nloglik` ignores weights altogether.
# Why it matters here: inverse-probability weights, case-cohort weights and weights of sites are
#   usual in hospital data. With Cox they do nothing that anybody meant.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xgboost-cpu==3.2.0 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import xgboost as xgb

random = np.random.default_rng(1)
n = 120
group = random.integers(0, 3, size=n)
features = group[:, None].astype(float)
time = np.ceil(10 * random.exponential(np.exp(-group / 2)))
event = random.random(n) < 0.7
# 3 for records with an event in group 2 or censored in group 0; 1 for the rest
weight = np.where((event & (group == 2)) | (~event & (group == 0)), 3, 1)
once = np.arange(n)
copied = np.repeat(once, weight)
GROUPS = xgb.DMatrix(np.array([[0.0], [1.0], [2.0]]))
OPTIONS = {
    "eta": 0.3, "max_depth": 2, "reg_lambda": 0, "min_child_weight": 0, "base_score": 1.0,
    "tree_method": "exact", "nthread": 1,
}


def cox_data(rows, weights=None):
    return xgb.DMatrix(features[rows], label=np.where(event, time, -time)[rows], weight=weights)


def aft_data(rows, weights=None):
    upper = np.where(event, time, np.inf)
    return xgb.DMatrix(
        features[rows], label_lower_bound=time[rows], label_upper_bound=upper[rows], weight=weights
    )


def contrasts(data, objective):
    model = xgb.train({**OPTIONS, "objective": objective}, data, 400)
    margins = model.predict(GROUPS, output_margin=True)
    return (margins - margins[0])[1:]


def loss(data, objective):
    few = xgb.train({**OPTIONS, "objective": objective}, cox_data(once), 3)
    return float(few.eval(data).split(":")[1])


for name, data in (("survival:aft", aft_data), ("survival:cox", cox_data)):
    weighted = contrasts(data(once, weight.astype(float)), name)
    copies = contrasts(data(copied), name)
    print(f"{name}: groups 1 and 2 against 0: weights {weighted}, copies {copies}")
    apart = np.abs(weighted - copies).max()
    assert apart < 1e-4 if name == "survival:aft" else apart > 0.1

# weights that are constant within a group: the weighted fit is the unweighted one
by_group = np.where(group == 2, 3, 1)
plain = contrasts(cox_data(once), "survival:cox")
weighted = contrasts(cox_data(once, by_group.astype(float)), "survival:cox")
copies = contrasts(cox_data(np.repeat(once, by_group)), "survival:cox")
print(f"Group 2 weighted by 3: Cox without weights {plain}, weights {weighted}, copies {copies}")
assert np.abs(plain - weighted).max() < 1e-3
assert np.abs(plain - copies).max() > 0.01

losses = [
    loss(data, "survival:cox")
    for data in (cox_data(once), cox_data(once, weight.astype(float)), cox_data(copied))
]
print("cox-nloglik of one model: no weights {:.4f}, weights {:.4f}, copies {:.4f}".format(*losses))
assert losses[0] == losses[1]
assert abs(losses[2] - losses[1]) > 0.1
PYTHON
