#!/usr/bin/env bash
# Package: ucumvert 0.3.2 with Pint 0.25.3. Seen 2026-11-29.
#
# Question: how much is a quantity in UCUM units, the unit codes of FHIR and HL7?
# Good guess: what the file of UCUM says, which the package ships (ucum-essence.xml, 2.2), and from
#   which it makes its parser. Codes that it cannot convert would raise.
# What happens: of the non-special units, some have another value or dimension than that file:
#   [Cal], the Calorie of food labels, is 4.184 J and not 4,184 J; g%, in which laboratories give
#   haemoglobin, is a mass and not 1 g/dL; a low-power field is 1 and not 100; the minute of arc (')
#   is 60 seconds of time; a cubic foot ([cft_i]) is a hundredth of a foot, as if its code said
#   "centi foot". None of them raises.
# Why it matters here: pooling needs one unit. A site that converts by library and a site that
#   converts by the UCUM file would differ by 1,000 in the energy intake of a diet study.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ucumvert==0.3.2 Pint==0.25.3 lark==1.3.1
"$folder/venv/bin/python" - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
from importlib.resources import files
from xml.etree import ElementTree

import ucumvert

units = ucumvert.PintUcumRegistry()
essence = ElementTree.fromstring((files(ucumvert) / "vendor" / "ucum-essence.xml").read_bytes())
place = "{http://unitsofmeasure.org/ucum-essence}"
values = {unit.get("Code"): unit.find(place + "value") for unit in essence.iter(place + "unit")}


def by_library(code):
    return units.from_ucum(code).to_base_units()


def by_file(code):
    value = values[code]
    return (float(value.get("value")) * units.from_ucum(value.get("Unit"))).to_base_units()


def show(code):
    value = values[code]
    print(f"{code}: UCUM's file says {value.get('value')} {value.get('Unit')}", end=" = ")
    print(f"{by_file(code)}; the library says {by_library(code)}")


for code, factor in (("[Cal]", 0.001), ("[LPF]", 0.01)):
    show(code)
    ratio = (by_library(code) / by_file(code)).to_base_units()
    assert ratio.dimensionless
    assert abs(ratio.magnitude / factor - 1) < 1e-9

for code in ("g%", "'", "[cft_i]"):
    show(code)
    assert by_library(code).dimensionality != by_file(code).dimensionality

# the parser is sound where the code is usual
for code in ("kcal", "mm[Hg]", "[lb_av]", "[gal_us]", "g/dL", "mmol/L"):
    by_library(code)
for code in ("[lb_av]", "[gal_us]", "Ci", "[stone_av]"):
    assert abs((by_library(code) / by_file(code)).to_base_units().magnitude - 1) < 1e-6
PYTHON
