#!/usr/bin/env bash
# Package: interpret-core 0.7.8 with scikit-learn 1.9.1 and pandas 2.3.3. Seen 2026-11-29.
#
# Question: hospitals that keep their records train explainable boosting machines, and `merge_ebms`
#   makes one of them. What does it say of a drug that only one hospital gives, of values that are
#   missing in only one, and of children, where only one treats children?
# Good guess: what that hospital found: each model keeps how many people stand behind each value
#   (`bin_weights_`), and the merged model has these numbers right.
# What happens: each score is averaged by the sizes of the whole models. A hospital that has never
#   seen the drug votes for no effect, with all its patients. A drug after which 60 % die, in a
#   hospital with a tenth of the patients, has 9 % in the merged model, where without it 7 % do;
#   `bin_weights_` says that all who got it came from that hospital. Missing values lose their
#   meaning likewise. For children the adults' hospital votes with its youngest adults.
#   The pooled records give 60 %. Each hospital that joins makes it less. The order of merging does
#   not matter, and where all hospitals see the same values the merged model is right. The
#   documentation asks for "similar datasets", and says nothing of values, nor does it warn.
# Why it matters here: it is the ready-made way to federate an explainable model. A danger that is
#   known in one hospital is what one federates for.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet interpret-core==0.7.8 scikit-learn==1.9.1 pandas==2.3.3 \
    numpy==2.4.6 scipy==1.17.1 joblib==1.6.0
"$folder/venv/bin/python" -W ignore - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import numpy as np
import pandas as pd
from interpret.glassbox import ExplainableBoostingClassifier, merge_ebms

random = np.random.default_rng(0)


def hospital(size, drugs, ages, gaps):
    people = pd.DataFrame({
        "drug": random.choice(drugs, size).astype(object),
        "age": random.uniform(*ages, size),
        "lactate": random.normal(size=size),
    })
    people.loc[random.random(size) < gaps, "lactate"] = np.nan
    chance = np.where(people["drug"] == "C", 0.6, 0.07)
    chance = np.where(people["lactate"].isna(), 0.5, chance)
    chance = np.where(people["age"] < 18, chance / 4, chance)
    return people, (random.random(size) < chance).astype(int)


def train(people, died):
    model = ExplainableBoostingClassifier(
        interactions=0, outer_bags=4, max_rounds=300, n_jobs=1, random_state=0
    )
    return model.fit(people, died)


def chance(model, **person):
    one = pd.DataFrame([{"drug": "A", "age": 50.0, "lactate": 0.0} | person])
    return float(model.predict_proba(one)[0, 1])


cases = {
    "drug C": ({"drugs": ["A", "B", "C"]}, {"drug": "C"}),
    "lactate missing": ({"gaps": 0.3}, {"lactate": np.nan}),
    "a child": ({"ages": (1, 17)}, {"age": 8.0}),
}
usual = {"drugs": ["A", "B"], "ages": (19, 90), "gaps": 0.0}
for name, (special, person) in cases.items():
    here, there = hospital(3000, **usual | special), hospital(27_000, **usual)
    models = [train(*here), train(*there)]
    merged, turned = merge_ebms(models), merge_ebms(models[::-1])
    pooled = train(pd.concat([here[0], there[0]], ignore_index=True), np.append(here[1], there[1]))
    found = [chance(model, **person) for model in (models[0], merged, pooled)]
    print(f"{name}: the hospital that knows {found[0]:.3f}, merged {found[1]:.3f}", end=", ")
    print(f"pooled {found[2]:.3f}; a usual patient in the merged model {chance(merged):.3f}")
    assert np.isclose(chance(turned, **person), found[1])
    assert abs(np.log(found[2] / found[0])) < abs(np.log(found[1] / found[0])) / 2
    if name == "drug C":
        code = merged.bins_[0][0]["C"]
        people = merged.bin_weights_[0][code] / merged.bin_weights_[0].sum()
        print(f"  share of people with drug C in the merged model {people:.3f}")
        assert abs(people - 1 / 30) < 0.01
        assert found[1] < 0.12

here, there = hospital(3000, **usual), hospital(27_000, **usual)
merged = merge_ebms([train(*here), train(*there)])
print(f"all see the same values: merged {chance(merged):.3f}")
assert abs(chance(merged) - 0.07) < 0.01
PYTHON
