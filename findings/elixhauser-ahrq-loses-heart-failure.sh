#!/usr/bin/env bash
# Packages: elixhauser-ahrq 2026.1.3 (pandas 2.3.3), and pycomorb 1.20261001.1 (polars 2.1.0) to
#   compare. Seen 2026-11-29.
#
# Question: which comorbidities, and which mortality index, has a patient with given codes of
#   ICD-10-CM? Both packages follow the same tables (Elixhauser Comorbidity Software Refined,
#   v2026.1).
# Good guess: those of the codes. For 19 categories, heart failure and renal failure among them, the
#   tables want diagnoses that were present on admission (POA). So without POA indicators they are
#   counted all the same, or are missing, or the call raises. Codes that are exempt from POA
#   reporting, as the sequelae of a stroke (I69), count whatever stands there: on valid records
#   nothing, or "E" (HL7 table 0895). A comment in the package says so, too: "Y, W, or exempt".
# What happens: without indicators all 19 categories are False; the index mostly falls. The README's
#   own example promises heart failure, renal failure and 7 points, and has neither and -7 points:
#   its first code is also left out as the principal diagnosis, which the README does not say.
#   `map_single_code` without an indicator does find heart failure. With correct indicators a
#   stroke's hemiplegia is False and has 0 points instead of 9, unless its POA is "1", the mark of
#   the claim format before 5010. pycomorb, which takes no indicators, says 9. No warning.
# Why it matters here: the index adjusts mortality for how ill a hospital's patients were. One that
#   sends no POA, or sends it as it should, seems to have healthier patients who die more often than
#   they should.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet elixhauser-ahrq==2026.1.3 pycomorb==1.20261001.1 \
    numpy==2.4.6 pandas==2.3.3 polars==2.1.0
"$folder/venv/bin/python" <<'PYTHON'
import polars
from elixhauser_ahrq import ElixhauserMapper, ElixhauserScorer
from pycomorb import ElixhauserComorbidityIndex

mapper = ElixhauserMapper()
scorer = ElixhauserScorer(index_type="mortality")


def found(codes, present=None):
    flags = mapper.map_patient_diagnoses(codes, present)
    names = sorted(name for name, flag in flags.items() if flag)
    points = scorer.calculate_score(flags)
    print(f"  {codes}, POA {present}: {names}, {points} points")
    return names, points


def by_pycomorb(codes):
    table = polars.DataFrame({"id": 1, "code": codes, "year": 2026})
    index = ElixhauserComorbidityIndex(
        table, year_col="year", implementation="ahrq_icd10", weights="ahrq"
    )
    points = index["Elixhauser Comorbidity Index"].item()
    print(f"  pycomorb: {points} points")
    return points


print("The example of the README (heart failure, diabetes, hypertension, kidney, obesity):")
example = ["I509", "E119", "I10", "N183", "E6601"]
assert found(example) == (["DIAB_UNCX", "HTN_UNCX", "OBESE"], -7)
assert by_pycomorb(example) == 10

print("Pneumonia, with heart failure:")
assert found(["J189", "I509"]) == ([], 0)
assert found(["J189", "I509"], ["Y", "Y"]) == (["HF"], 14)
assert mapper.map_single_code("I509")["HF"] is True
assert by_pycomorb(["J189", "I509"]) == 14

print("Pneumonia, with hemiplegia after a stroke (a code exempt from POA):")
stroke = ["J189", "I69351"]
for exempt in ("", "E"):
    assert found(stroke, ["Y", exempt]) == ([], 0)
assert found(stroke, ["Y", "1"]) == (["CBVD", "PARALYSIS"], 9)
assert by_pycomorb(stroke) == 9
PYTHON
