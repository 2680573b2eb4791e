#!/usr/bin/env bash
# Package: fhirpathpy 2.2.4. Seen 2026-11-29.
#
# Question: which records does a FHIRPath condition on a laboratory value or a time choose?
# Good guess: `value = 7.4` those whose value is 7.4, and `start <= end` those that start first. The
#   standard compares decimals by value and times as instants, with their offsets from UTC; where
#   one of two dates says less ("2019" and "2019-05-01") and they agree so far, it is empty.
# What happens: it depends on where the two sides stand. A decimal of the record is a float, as
#   Python's JSON reader made it; one in the expression is a Decimal; and `=` compares them exactly,
#   while `<=` and `>=` first round the float. A value of 7.4 is not equal to 7.4 though it is
#   neither smaller nor larger, and 7.5 is equal to 7.5. Of the values 0.1 to 10.0, 80 of 100 are
#   not equal to themselves. Two times of the record are compared as texts: an encounter during
#   which summer time ended ends before it starts, and two names of one instant differ. If either
#   time is written in the expression, the answer is right. With `parse_float=Decimal` the values
#   are right, too. No warning; the documentation says nothing, and its examples pass plain dicts.
# Why it matters here: cohorts and invariants of FHIR (per-1: a period starts before it ends) are
#   written so. A site silently loses patients, and `!=` keeps those that it should leave out.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet fhirpathpy==2.2.4
"$folder/venv/bin/python" <<'PYTHON'
import json
from decimal import Decimal

from fhirpathpy import evaluate
from fhirpathpy.models import models


def says(resource, expression):
    (answer,) = evaluate(resource, expression, {}, models["r4"]) or [None]
    print(f"  {expression}: {answer}")
    return answer


def observation(value, **options):
    text = '{"resourceType": "Observation", "valueQuantity": {"value": %s}}' % value
    return json.loads(text, **options)


print("A pH of 7.4:")
record = observation("7.4")
assert says(record, "Observation.value.value = 7.4") is False
assert says(record, "Observation.value.value != 7.4") is True
assert says(record, "Observation.value.value <= 7.4") is True
assert says(record, "Observation.value.value >= 7.4") is True
assert says(record, "Observation.where(value.value = 7.4).count()") == 0
print("The same, read with parse_float=Decimal:")
assert says(observation("7.4", parse_float=Decimal), "Observation.value.value = 7.4") is True
print("A pH of 7.5:")
assert says(observation("7.5"), "Observation.value.value = 7.5") is True

unequal = 0
for tenths in range(1, 101):
    value = f"{tenths // 10}.{tenths % 10}"
    (same,) = evaluate(observation(value), f"Observation.value.value = {value}", {}, models["r4"])
    unequal += not same
print(f"Of the values 0.1 to 10.0, {unequal} of 100 are not equal to themselves.")
assert unequal == 80

START, END = "2026-10-25T02:50:00+02:00", "2026-10-25T02:10:00+01:00"  # 20 minutes
encounter = {"resourceType": "Encounter", "period": {"start": START, "end": END}}
print("An encounter of 20 minutes, while summer time ends:")
assert says(encounter, "Encounter.period.start <= Encounter.period.end") is False
assert says(encounter, f"Encounter.period.start <= @{END}") is True
assert says(encounter, f"@{START} <= Encounter.period.end") is True

encounter["period"]["end"] = "2026-10-25T00:50:00Z"
print("One instant, written in two ways:")
assert says(encounter, "Encounter.period.start = Encounter.period.end") is False
assert says(encounter, "Encounter.period.start = @2026-10-25T00:50:00Z") is True

condition = {"resourceType": "Condition", "onsetDateTime": "2019", "recordedDate": "2019-05-01"}
print("Onset in 2019, recorded on 2019-05-01:")
assert says(condition, "Condition.onset < Condition.recordedDate") is True
assert says(condition, "Condition.onset < @2019-05-01") is None
PYTHON
