#!/usr/bin/env bash
# Packages: hccinfhir 0.4.0; pyx12 4.0.0 (reads the same claims). Seen 2026-11-29.
#
# Question: which claims count in a Medicare risk score (CMS-HCC V28) that is worked out from files
#   of X12 837 or from FHIR's ExplanationOfBenefit?
# Good guess: a claim that was voided does not, one that replaces another counts instead of it, and
#   it makes no difference which separators an 837 file declares in its ISA segment.
# What happens:
# * The claim frequency code (CLM05-3) is not read. A void (8) counts as a claim: patients get the
#   disease that the clinic took back. A replacement (7) counts besides what it replaces.
# * The status of a FHIR resource is not read: "cancelled" and "entered-in-error" count.
# * Parts of an element are split at ":", whatever ISA16 says. Where a file uses ">", as some
#   clearinghouses do, each claim is read without diagnosis and procedure. There is no error, and
#   everybody gets the score of a healthy person of that age. (Where ISA declares another separator
#   of elements, there is an error.)
# All this with the "CMS filtering rules" on. The documentation offers files of clearinghouses as
#   input. It says nothing of voids, replacements, statuses or separators.
# Why it matters here: the score multiplies what is paid for a patient, and hospitals compare their
#   patients by it. What two sites get then depends on corrections and on their clearinghouse.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet hccinfhir==0.4.0 pydantic==2.14.4 pyx12==4.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import io

from hccinfhir import HCCInFHIR, extract_sld
from pyx12.x12file import X12Reader

model = HCCInFHIR(model_name="CMS-HCC Model V28", filter_claims=True)
patient = {"age": 70, "sex": "F", "orec": "0", "dual_elgbl_cd": "NA"}
HEART_FAILURE, HYPERTENSION = "I5022", "I10"


def claim(number, frequency, diagnosis, original=None):
    segments = [f"CLM*{number}*100***11:B:{frequency}*Y*A*Y*Y"]
    segments += [f"REF*F8*{original}"] if original else []
    segments += [f"HI*ABK:{diagnosis}", "LX*1", "SV1*HC:99213*100*UN*1***1", "DTP*472*D8*20250102"]
    return segments


def file_of(*claims, separator=":"):
    inside = [
        "BHT*0019*00*1*20250102*0833*CH",
        "HL*1**20*1",
        "NM1*85*2*CLINIC*****XX*1122334455",
        "HL*2*1*22*0",
        "SBR*P*18*******MB",
        "NM1*IL*1*A*B****MI*M1",
        *(segment for one in claims for segment in one),
    ]
    segments = [
        "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *250102*0833*^*00501"
        "*000000001*1*P*:",
        "GS*HC*S*R*20250102*0833*1*X*005010X222A1",
        "ST*837*0001*005010X222A1",
        *inside,
        f"SE*{len(inside) + 2}*0001",
        "GE*1*1",
        "IEA*1*000000001",
    ]
    return "".join(segment + "~" for segment in segments).replace(":", separator)


def score(file):
    result = model.run_from_service_data(extract_sld(file, format="837"), patient)
    return round(result.risk_score, 3), result.hcc_list


def as_pyx12_reads(file):
    found = []
    for segment in X12Reader(io.StringIO(file)):
        if segment.get_seg_id() == "CLM":
            found.append([segment.get_value("CLM05-3")])
        if segment.get_seg_id() == "HI":
            found[-1].append(segment.get_value("HI01-2"))
    return found


first = claim("C1", 1, HEART_FAILURE)
files = {
    "hypertension only": file_of(claim("C1", 1, HYPERTENSION)),
    "heart failure": file_of(first),
    "a void, on its own": file_of(claim("C2", 8, HEART_FAILURE, "C1")),
    "claimed, then voided": file_of(first, claim("C2", 8, HEART_FAILURE, "C1")),
    "replaced: hypertension": file_of(first, claim("C2", 7, HYPERTENSION, "C1")),
    "heart failure, by >": file_of(first, separator=">"),
}
scores = {}
for name, file in files.items():
    scores[name] = score(file)
    print(f"{name:24}", *scores[name], "  frequency and diagnosis by pyx12:", as_pyx12_reads(file))
healthy, ill = (0.395, []), (0.755, ["226"])
assert list(scores.values()) == [healthy, ill, ill, ill, ill, healthy]
assert as_pyx12_reads(files["heart failure, by >"]) == [["1", HEART_FAILURE]]
assert as_pyx12_reads(files["a void, on its own"]) == [["8", HEART_FAILURE]]

variables = "https://bluebutton.cms.gov/resources"


def coded(system, code):
    return {"coding": [{"system": system, "code": code}]}


for status in ("active", "cancelled", "entered-in-error"):
    benefit = {
        "resourceType": "ExplanationOfBenefit",
        "status": status,
        "type": coded(f"{variables}/variables/nch_clm_type_cd", "71"),
        "diagnosis": [
            {
                "sequence": 1,
                "diagnosisCodeableConcept": coded(
                    "http://hl7.org/fhir/sid/icd-10-cm", HEART_FAILURE
                ),
            }
        ],
        "item": [
            {"sequence": 1, "productOrService": coded(f"{variables}/codesystem/hcpcs", "99213")}
        ],
    }
    result = model.run([benefit], patient)
    print(f"FHIR, {status}:", round(result.risk_score, 3), result.hcc_list)
    assert (round(result.risk_score, 3), result.hcc_list) == ill
PYTHON
