#!/usr/bin/env bash
# Packages: onnxmltools 1.16.0 writes ONNX from lightgbm 4.7.0 and xgboost-cpu 3.2.0 models;
#   onnxruntime 1.32.0 runs it; treelite 4.8.1 reads the same models. Seen 2026-11-29.
#
# Question: does a boosted or bagged credit model give the same answers after it went to ONNX?
# Good guess: yes, to six digits, or the converter raises, as it does for unknown objectives. Plain
#   LightGBM and XGBoost classifiers come back so, and treelite agrees with both libraries below.
# What happens, without a warning:
#   - A LightGBM forest (`boosting_type="rf"`) is divided by 100, whatever its number of trees. A
#     regression is right with 100, the default, and halved with 50. A classifier's probability is
#     divided after the logistic function: no applicant has more than 0.01. Read from its file, the
#     forest is not divided at all: with 50 trees a loss of 7 becomes 345.
#   - LightGBM's `sigmoid=2` is forgotten, the lines in the leaves of `linear_tree=True` too, and
#     "multiclassova" is taken for softmax.
#   - An XGBoost classifier whose first tree finds no split, as with `min_child_weight=10` and 9
#     defaults of 1000, says 0.502 for everybody; XGBoost says 0.009. The base score is taken for
#     log-odds as it is, but only then.
#   - XGBoost's "reg:logistic" gives log-odds for probabilities. Hazard ratios of "survival:cox" are
#     squeezed by a logistic function, and are all 1 with the base score that XGBoost estimates.
# Why it matters here: ONNX is how a bank takes a model into its own system. The documentation lists
#   no such limits; the source names random forests and converts them on purpose.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxmltools==1.16.0 onnx==1.23.2 skl2onnx==1.20.0 \
    onnxruntime==1.32.0 lightgbm==4.7.0 xgboost-cpu==3.2.0 treelite==4.8.1 scikit-learn==1.9.1 \
    pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
cd "$folder"
venv/bin/python -W ignore - 2> log <<'PYTHON' || { cat log; exit 1; }
import lightgbm as lgb
import numpy as np
import onnxmltools
import onnxruntime
import treelite
import xgboost as xgb
from onnxmltools.convert.common.data_types import FloatTensorType

onnxruntime.set_default_logger_severity(4)
random = np.random.default_rng(0)
columns = random.normal(size=(2000, 3)).astype(np.float32)
risk = 1.2 * columns[:, 0] + columns[:, 1] ** 2 - 4
default = (random.random(2000) < 1 / (1 + np.exp(-risk))).astype(int)
loss = risk + 10


def by_onnx(model, rows=columns):
    types = [("rows", FloatTensorType([None, rows.shape[1]]))]
    if type(model).__module__.startswith("lightgbm"):
        written = onnxmltools.convert_lightgbm(model, initial_types=types, zipmap=False)
    else:
        written = onnxmltools.convert_xgboost(model, initial_types=types)
    session = onnxruntime.InferenceSession(written.SerializeToString())
    answers = np.asarray(session.run(None, {"rows": rows})[-1])
    return answers[:, 1] if answers.shape[1:] == (2,) else answers.squeeze()


def by_treelite(model, rows=columns):
    booster = model.booster_ if hasattr(model, "booster_") else model
    booster = booster.get_booster() if hasattr(booster, "get_booster") else booster
    booster.save_model("model.json")
    loaders = treelite.frontend.load_lightgbm_model, treelite.frontend.load_xgboost_model
    loader = loaders[isinstance(booster, xgb.Booster)]
    data = rows if isinstance(booster, xgb.Booster) else rows.astype(float)
    return treelite.gtil.predict(loader("model.json"), data).squeeze()


def lightgbm_model(kind, target, trees=20, **options):
    fixed = {"num_leaves": 7, "verbose": -1, "n_jobs": 1}
    return kind(n_estimators=trees, **fixed, **options).fit(columns, target)


def chance(model, rows=columns):
    answers = model.predict_proba(rows)
    return answers[:, 1] if answers.shape[1] == 2 else answers


model = lightgbm_model(lgb.LGBMClassifier, default)
assert np.allclose(by_onnx(model), chance(model), atol=1e-6)

forest = {"boosting_type": "rf", "bagging_fraction": 0.6, "bagging_freq": 1}
for trees in (50, 100, 200):
    model = lightgbm_model(lgb.LGBMRegressor, loss, trees, **forest)
    right, seen = model.predict(columns), by_onnx(model)
    print(f"forest of {trees}: mean loss {right.mean():.2f}, ONNX {seen.mean():.2f}", end="; ")
    assert np.allclose(by_treelite(model), right)
    assert np.allclose(seen, right * trees / 100, atol=1e-4)
    model.booster_.save_model("forest.txt")
    seen = by_onnx(lgb.Booster(model_file="forest.txt"))
    print(f"from its file {seen.mean():.0f}", end="; ")
    assert np.allclose(seen, right * trees, rtol=1e-5)
    model = lightgbm_model(lgb.LGBMClassifier, default, trees, **forest)
    right, seen = chance(model), by_onnx(model)
    print(f"highest probability {right.max():.2f}, ONNX {seen.max():.4f}")
    assert np.allclose(by_treelite(model), right)
    assert right.max() > 0.9
    assert seen.max() <= 0.01

classes = np.digitize(risk, [-4, -2])
for options, target, treelite_too in (
    ({"sigmoid": 2.0}, default, True),
    ({"linear_tree": True}, default, False),
    ({"objective": "multiclassova"}, classes, True),
):
    model = lightgbm_model(lgb.LGBMClassifier, target, **options)
    right, seen = chance(model), by_onnx(model)
    print(f"{options}: probabilities differ by up to {np.abs(seen - right).max():.2f}")
    assert np.abs(seen - right).max() > 0.1
    if treelite_too:  # it refuses the other
        assert np.allclose(by_treelite(model), right, atol=1e-6)

few = np.zeros(1000, int)
few[:9] = 1
for weight in (1, 10):
    model = xgb.XGBClassifier(n_estimators=20, min_child_weight=weight, n_jobs=1)
    model.fit(columns[:1000], few)
    right, seen = chance(model), by_onnx(model)
    print(f"9 defaults of 1000, min_child_weight={weight}: mean {right.mean():.4f}", end=", ")
    print(f"ONNX {seen.mean():.4f}")
    assert np.allclose(by_treelite(model), right, atol=1e-6)
    assert np.allclose(seen, right if weight == 1 else 1 / (1 + np.exp(-0.009)), atol=1e-4)
assert np.allclose(right, 0.009, atol=1e-6)

time = np.where(random.random(2000) < 0.7, 1, -1) * random.exponential(np.exp(-risk))
for objective, target, options in (
    ("reg:logistic", default, {}),
    ("survival:cox", time, {"base_score": 0.5}),
    ("survival:cox", time, {}),
):
    data = xgb.DMatrix(columns, label=target)
    model = xgb.train({"objective": objective, "max_depth": 3, "nthread": 1, **options}, data, 20)
    right, seen = model.predict(data), by_onnx(model)
    print(f"{objective} {options}: XGBoost {right[:3].round(3)}, ONNX {seen[:3].round(3)}")
    assert np.allclose(by_treelite(model), right, rtol=1e-4)
    assert not np.allclose(seen, right, atol=0.3)
    if objective == "reg:logistic":
        assert seen.min() < 0
    else:
        assert not (seen > 1).any()
        assert right.max() > 100
PYTHON
