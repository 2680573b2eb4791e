#!/usr/bin/env bash
# Package: fhir.resources 8.3.0 with fhir-core 1.1.12 and pydantic 2.14.4. Seen 2026-11-29.
#
# Question: is a laboratory value in a FHIR resource the same after it was read and written?
# Good guess: yes. FHIR's table of data types says that the precision of a decimal has significance
#   (0.010 is another value than 0.01) and should be preserved, and the library gives every such
#   value as Python's Decimal, which can do that.
# What happens: the Decimal is made from a float and written as a float. Read from JSON text, 7.40
#   is Decimal('7.4') and 0.100000000000000005 is Decimal('0.1'): digits are lost before anybody
#   sees the value. Read with a JSON parser that makes Decimals, the value is whole, but is written
#   as 7.4. A date and time with nanoseconds, which FHIR allows, is cut to microseconds. Nothing
#   warns. Whole numbers of any length are kept.
# Why it matters here: a reported precision tells a measured value from a rounded one, and a digest
#   of a record says which record it was: after a passage through the library both are others.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet fhir.resources==8.3.0 fhir-core==1.1.12 pydantic==2.14.4
"$folder/venv/bin/python" - <<'PYTHON'
import json
from decimal import Decimal

from fhir.resources.observation import Observation

FORM = (
    '{"resourceType":"Observation","status":"final","code":{"text":"glucose"},'
    '"effectiveDateTime":"2026-03-01T08:00:00.123456789Z","valueQuantity":{"value":%s}}'
)

for given, read, written in (
    ("7.40", "7.4", "7.4"),
    ("0.010", "0.01", "0.01"),
    ("100", "100", "100"),
    ("0.100000000000000005", "0.1", "0.1"),
    ("123456789.1234567891", "123456789.12345679", "123456789.12345679"),
    ("12345678901234567890123", "12345678901234567890123", "12345678901234567890123"),
):
    resource = Observation.model_validate_json(FORM % given)
    value = resource.valueQuantity.value
    back = json.loads(resource.model_dump_json(), parse_float=str, parse_int=str)
    print(f"{given}: read as {value!r}, written as {back['valueQuantity']['value']}")
    assert isinstance(value, Decimal)
    assert (str(value), back["valueQuantity"]["value"]) == (read, written)
    assert back["effectiveDateTime"] == "2026-03-01T08:00:00.123456Z"

# the other way in keeps the digits, and the way out loses them all the same
resource = Observation.model_validate(json.loads(FORM % "7.40", parse_float=Decimal))
assert str(resource.valueQuantity.value) == "7.40"
assert '"value":7.4}' in resource.model_dump_json()
print("a Decimal of 7.40 that was put in is written as 7.4")
PYTHON
