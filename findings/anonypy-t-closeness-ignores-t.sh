#!/usr/bin/env bash
# Packages: anonypy 0.2.1 (anonymizes), pycanon 1.3.6 (measures), pandas 2.3.3, NumPy 2.0.2.
#   Seen 2026-11-29.
#
# Question: how close to the whole is each class of a table that anonypy made t-close?
# Good guess: within the t that was asked for (`anonymize_t_closeness(k, p)`; the second argument
#   is the bound), and a smaller t gives fewer, larger classes.
# What happens: any t above 0 gives the same table. The check overwrites its bound with the share
#   of the last diagnosis of the class, and compares the distances with that. A class of one
#   diagnosis always passes, for its share is 1. The worst table there is, each age group with a
#   diagnosis of its own, is handed out as 0.01-close; pycanon measures 0.5. The README names
#   t-closeness as supported and says nothing of this.
# Why it matters here: a hospital states a t in its data protection assessment, and whoever knows
#   a patient's age reads the diagnosis from the table.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet anonypy==0.2.1 pycanon==1.3.6 pandas==2.3.3 numpy==2.0.2
"$folder/venv/bin/python" - <<'PYTHON'
import pandas as pd
from anonypy import Preserver
from pycanon.anonymity import k_anonymity, t_closeness


def close(table, k, t):
    rows = pd.DataFrame(Preserver(table, ["age"], "diagnosis").anonymize_t_closeness(k=k, p=t))
    rows["age"] = [str(age[0]) for age in rows.age]
    people = rows.loc[rows.index.repeat(rows["count"]), ["age", "diagnosis"]]
    return people.reset_index(drop=True)  # pycanon counts rows by position


def distance(people):  # total variation, without pycanon
    overall = people.diagnosis.value_counts(normalize=True)
    return max(
        (part.diagnosis.value_counts(normalize=True).reindex(overall.index).fillna(0) - overall)
        .abs()
        .sum()
        / 2
        for _, part in people.groupby("age")
    )


table = pd.DataFrame({"age": range(20, 28), "diagnosis": ["HIV"] * 4 + ["asthma"] * 4})
people = close(table, k=4, t=0.01)
print("Eight patients, 0.01-close:", people.value_counts(sort=False).to_dict())
print("pycanon measures t =", t_closeness(people, ["age"], ["diagnosis"]))
assert len(people) == 8 and k_anonymity(people, ["age"]) == 4
assert t_closeness(people, ["age"], ["diagnosis"]) == distance(people) == 0.5

ages = [20 + 7 * i % 70 for i in range(1000)]
table = pd.DataFrame({"age": ages})
table["diagnosis"] = ["cancer" if 37 * i % 101 < ages[i] - 15 else "none" for i in range(1000)]
seen = {}
for t in (0.01, 0.1, 0.2, 0.5, 0.9):
    people = close(table, k=5, t=t)
    measured = t_closeness(people, ["age"], ["diagnosis"])
    assert abs(measured - distance(people)) < 1e-9 and len(people) == 1000
    seen[t] = (people.age.nunique(), round(measured, 3))
    print(f"1000 patients, {t}-close: {seen[t][0]} classes, measured t = {seen[t][1]}")
assert len(set(seen.values())) == 1 and seen[0.01][1] > 0.3
PYTHON
