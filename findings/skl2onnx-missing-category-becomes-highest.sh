#!/usr/bin/env bash
# Packages: skl2onnx 1.20.0 (onnx 1.23.2) converts scikit-learn 1.9.1; onnxruntime 1.32.0 runs it.
#   Seen 2026-11-30.
#
# Question: what does a pipeline make of a missing category after it went to ONNX?
# Good guess: the same as scikit-learn. `OrdinalEncoder` passes NaN on, as its documentation says,
#   and the step behind it, a forest that knows missing values or an imputer, takes care of it.
# What happens: the converter counts NaN among the categories. The missing value gets the number
#   after the last one, and neither forest nor imputer sees that anything is missing. If "current"
#   is the highest level of smoking, a patient without an entry has more than that: a forest says
#   60 % for 5 %, a logistic regression behind an imputer 86 % for 8.5 %. Where scikit-learn knows
#   a value, both agree, so a test on complete rows finds nothing. `handle_unknown` does not help;
#   `encoded_missing_value=-1` does, but not for codes that are numbers: those get -1, whatever is
#   asked for. And a category never seen, which scikit-learn refuses, becomes -1, below all others.
#   No warning, no error. The documentation lists the encoder as supported, without limits.
# Why it matters here: missing entries are common in records, and ONNX is how a model leaves the
#   place where it was trained and tested.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet skl2onnx==1.20.0 onnx==1.23.2 onnxruntime==1.32.0 \
    scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

levels = np.array([["0 never"], ["1 former"], ["2 current"], [np.nan]], dtype=object)
people = np.repeat(levels, 100, axis=0)
ill = np.concatenate([[1] * count + [0] * (100 - count) for count in (10, 30, 60, 5)])
NAMES = ["never", "former", "current", "missing"]


def by_onnx(model, rows, kind=StringTensorType):
    options = {"zipmap": False} if hasattr(model, "predict_proba") else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        written = to_onnx(model, initial_types=[("rows", kind([None, 1]))], options=options)
    assert not [one for one in caught if issubclass(one.category, UserWarning)]
    session = onnxruntime.InferenceSession(written.SerializeToString())
    return session.run(None, {"rows": rows})[-1]


def codes(encoder, seen=people, rows=levels, kind=StringTensorType):
    encoder.fit(seen)
    answers = encoder.transform(rows).ravel(), by_onnx(encoder, rows, kind).ravel()
    print(f"{encoder}: {answers[0].tolist()}, ONNX {answers[1].tolist()}")
    return answers


unknown = {"handle_unknown": "use_encoded_value"}
for options in ({}, {**unknown, "unknown_value": np.nan}, {**unknown, "unknown_value": -1}):
    right, seen = codes(OrdinalEncoder(**options))
    assert np.array_equal(right, [0, 1, 2, np.nan], equal_nan=True)
    assert np.array_equal(seen, [0, 1, 2, 3])
right, seen = codes(OrdinalEncoder(encoded_missing_value=-1))
assert np.array_equal(right, [0, 1, 2, -1])
assert np.array_equal(seen, right)

numbers = np.array([[1], [2], [np.nan]], dtype=np.float32)
for options, number in (({}, np.nan), ({"encoded_missing_value": -7}, -7)):
    right, seen = codes(OrdinalEncoder(**options), numbers, numbers, FloatTensorType)
    assert np.array_equal(right, [0, 1, number], equal_nan=True)
    assert np.array_equal(seen, [0, 1, -1])

encoder = OrdinalEncoder().fit(people)
other = np.array([["3 pipe"]], dtype=object)
try:
    encoder.transform(other)
except ValueError as error:
    print("scikit-learn refuses:", error, "- ONNX:", by_onnx(encoder, other).item())
else:
    raise SystemExit("scikit-learn took the new category")
assert by_onnx(encoder, other).item() == -1

forest = RandomForestClassifier(50, random_state=0, n_jobs=1)
imputed = make_pipeline(SimpleImputer(strategy="most_frequent"), LogisticRegression())
for model, missing, found in ((forest, 0.05, 0.60), (imputed, 0.085, 0.862)):
    pipeline = make_pipeline(OrdinalEncoder(), model).fit(people, ill)
    right, seen = pipeline.predict_proba(levels)[:, 1], by_onnx(pipeline, levels)[:, 1]
    print(type(model).__name__)
    for name, one, two in zip(NAMES, right, seen):
        print(f"  {name}: scikit-learn {one:.3f}, ONNX {two:.3f}")
    assert np.allclose(right[:3], seen[:3], atol=1e-5)
    assert abs(right[3] - missing) < 0.02
    assert abs(seen[3] - found) < 0.02

    safe = make_pipeline(OrdinalEncoder(encoded_missing_value=-1), model).fit(people, ill)
    assert np.allclose(safe.predict_proba(levels), by_onnx(safe, levels), atol=1e-5)
PYTHON
