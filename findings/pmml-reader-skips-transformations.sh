#!/usr/bin/env bash
# Packages: nyoka 5.5.0 writes PMML, sklearn-pmml-model 1.0.8 reads it; scikit-learn 1.9.1. Seen
#   2026-11-29.
#
# Question: does a credit model give the same probabilities after it went through a PMML file?
# Good guess: yes, or the reader says that it cannot read the file. A plain logistic regression, a
#   tree and a forest come back to the last digit.
# What happens: nyoka writes a standard scaler as derived fields, and the learning rate and base
#   rate of a boosted model as an output transformation, as PMML provides; the file's own arithmetic
#   gives the right answers. The reader skips both, without an error or a warning, and returns
#   probabilities:
#   - A logistic regression behind a scaler gets the raw columns multiplied by the coefficients of
#     the scaled ones. Of 2000 applicants with 4.5 % defaults it gives none less than 0.995.
#   - A boosted model loses its learning rate and its base rate: its log-odds are the bare sum of
#     the trees. The mean probability of default is 32 % instead of 4.5 %. The lowest, 1.2 %,
#     becomes 0.0001 %, the highest, 62 %, becomes 100 %. The ranks hold: the AUC shows nothing.
#   The reader's documentation lists such models as supported and says nothing of transformations.
#   An open issue says that the scaling of support vector machines from R is ignored.
# Why it matters here: banks hand models to each other as PMML. The receiver gets other
#   probabilities of default than the sender has validated.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nyoka==5.5.0 sklearn-pmml-model==1.0.8 scikit-learn==1.9.1 pandas==3.1.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
from nyoka import skl_to_pmml
from scipy.special import expit, logit
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn_pmml_model.auto_detect import auto_detect_estimator

PMML = "{http://www.dmg.org/PMML-4_4}"
rng = np.random.default_rng(0)
columns = ["age", "debt"]
people = pd.DataFrame({"age": rng.uniform(20, 80, 2000), "debt": rng.uniform(0, 20, 2000)})
default = (rng.random(2000) < expit(-7 + 0.02 * people["age"] + 0.22 * people["debt"])).astype(int)
print(f"{default.mean():.1%} defaults")


def sent_and_received(name, *steps):
    """Return the probabilities of default before and after, and the file."""
    model = make_pipeline(*steps).fit(people, default)
    skl_to_pmml(model, columns, "default", f"{name}.pmml")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        reader = auto_detect_estimator(f"{name}.pmml")
        received = reader.predict_proba(people)[:, 1]
    told = " ".join(str(w.message) for w in warned)
    assert not any(word in told.lower() for word in ("transform", "scal", "derived")), told
    sent = model.predict_proba(people)[:, 1]
    print(f"{name}: mean probability {sent.mean():.4f} sent, {received.mean():.4f} received")
    return sent, received, ElementTree.parse(f"{name}.pmml")


for name, model in (
    ("regression", LogisticRegression(C=1e6, max_iter=10_000)),
    ("tree", DecisionTreeClassifier(max_depth=3)),
    ("forest", RandomForestClassifier(10, max_depth=3, random_state=0)),
):
    sent, received, _ = sent_and_received(name, model)
    assert np.allclose(sent, received)

sent, received, file = sent_and_received("scaled", StandardScaler(), LogisticRegression(C=1e6))
table = file.find(f".//{PMML}RegressionTable[@targetCategory='1']")
odds = float(table.get("intercept"))
for field in file.iter(f"{PMML}DerivedField"):
    center, width = (float(constant.text) for constant in field.iter(f"{PMML}Constant"))
    by = table.find(f"{PMML}NumericPredictor[@name='{field.get('name')}']").get("coefficient")
    odds += float(by) * (people[field.find(f".//{PMML}FieldRef").get("field")] - center) / width
assert np.allclose(expit(odds), sent)
print("the file's own arithmetic gives what was sent; received at least", received.min().round(4))
assert received.min() > 0.99

for rate in (0.1, 0.2):
    boosted = GradientBoostingClassifier(n_estimators=20, learning_rate=rate, max_depth=2)
    sent, received, file = sent_and_received(f"boosted-{rate}", boosted)
    output = file.find(f".//{PMML}OutputField/{PMML}Apply")
    factor, base = (float(constant.text) for constant in output.iter(f"{PMML}Constant"))
    assert factor == rate
    print(f"  lowest {sent.min():.4f} sent, {received.min():.7f} received")
    print(f"  highest {sent.max():.4f} sent, {received.max():.4f} received")
    precise = received < 0.999
    assert np.allclose(base + factor * logit(received[precise]), logit(sent[precise]), atol=1e-5)
    assert abs(roc_auc_score(default, sent) - roc_auc_score(default, received)) < 1e-6
    assert received.mean() > 0.25
PYTHON
