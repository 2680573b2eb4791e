"""The words of ten specialties: what SYNTHETIC notes are made of, beside real terms.

All of it is invented but for the abbreviations and the endings of drug names, which are those that
are in use. A clause is words with places: `{d}` a disease and `{m}` a drug, which are entities;
`{x}` a disease in the name of a clinic and `{y}` a drug in the name of a measurement, which are
not; `{n}` a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

Style: TypeAlias = Literal["letter", "telegram", "form"]

# They stand beside a disease and are no part of it, and some terms of ICD-10-CM begin or end so.
BEFORE = ("acute", "chronic", "severe", "mild", "recurrent", "left", "right", "bilateral", "known")
AFTER = (
    "of left leg",
    "in pregnancy",
    "due to injury",
    "with complications",
    "on the right",
    "of the back",
)

CLAUSES: Mapping[Style, tuple[str, ...]] = MappingProxyType(
    {
        "letter": (
            "I reviewed this {n} year old with {d}",
            "Her {d} has been stable on {m} {n} mg",
            "There was no evidence of {d} on imaging",
            "We stopped {m} because of a rash",
            "I have referred the patient to the {x} clinic",
            "She takes {m} and {m} every morning",
            "He remains under the {x} service",
            "The family asked about {d} and its treatment",
            "His mother died of {d} at {n}",
            "The {y} level was {n} last week",
            "Treatment of {d} with {m} was discussed and declined",
            "She is well , lives alone and walks every day",
            "Blood results were unremarkable",
            "We changed {m} to {m} without difficulty",
            "Suspected {d} was excluded",
            "Thank you for asking me to see this patient with {d}",
            "Since the diagnosis of {d} he has lost {n} kg",
            "He tolerates {m} better than {m}",
            "I wonder whether {d} explains all of this",
            "We shall repeat the {y} assay in {n} weeks",
            "A leaflet of the {x} society was given",
            "The side effects of {m} trouble him most",
            "{d} was diagnosed {n} years ago",
            "{m} did not help",
        ),
        "telegram": (
            "pt c/o worse {d} x {n} days",
            "h/o {d} , {d}",
            "no h/o {d}",
            "d/c {m} , start {m} {n} mg bd",
            "cont {m} {n} mg od",
            "? {d}",
            "r/o {d}",
            "f/u {x} clinic {n} wks",
            "o/e comfortable , obs stable",
            "{y} level {n}",
            "seen by {x} nurse",
            "fhx {d}",
            "{m} prn",
            "nil acute , home tmrw",
            "not for {m} as {d}",
            "d/w family , happy w plan",
            "adm w {d}",
            "{d} resolved",
            "known {d} , on {m} and {m}",
            "s/p {d} {n}",
            "{m} {n} mg stat given",
            "await {y} assay",
            "{x} team aware",
            "bleep {n} if worse",
        ),
        "form": (
            "DIAGNOSIS : {d}",
            "MEDICATION : {m} {n} mg , {m} {n} mg",
            "HISTORY : {d} , {d}",
            "ALLERGIES : {m}",
            "PLAN : {x} clinic in {n} weeks",
            "IMPRESSION : {d} , improving",
            "TESTS : {y} level {n}",
            "FAMILY : {d}",
            "SOCIAL : lives with spouse , stairs at home",
            "EXCLUDED : {d}",
            "TREATMENT : {m} for {d}",
            "EXAMINATION : chest clear , abdomen soft",
            "CONSENT : signed",
            "PROBLEM {n} : {d}",
            "PROBLEM {n} : {d} , on {m}",
            "CHANGES : {m} instead of {m}",
            "REFERRED : {x} service",
            "DUE : {y} assay",
            "COMPLAINT : {d} for {n} days",
            "SUMMARY : {d} and {d}",
            "MOBILITY : one stick",
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class Specialty:
    """How one hospital writes, and of what.

    Args:
        chapter: Of ICD-10-CM, most of its diseases.
        notes: Number of its notes.
        style: In which clauses it writes.
        clauses: Fewest and most clauses in a note.
        drugs: How often a clause with a drug is chosen, beside one without: 1 for alike.
        short: Share of diseases and drugs that it writes as abbreviations, if it has any.
        slips: Share of the words of a term that are misspelt.
        endings: Of the drug names that belong to the specialty.
        diseases: Abbreviations of diseases.
        medicines: Abbreviations of drugs.
        traps: Clauses in which these abbreviations mean something else.
    """

    chapter: str
    notes: int
    style: Style
    clauses: tuple[int, int]
    drugs: float
    short: float
    slips: float
    endings: tuple[str, ...]
    diseases: tuple[str, ...]
    traps: tuple[str, ...]
    medicines: tuple[str, ...] = ()


SPECIALTIES: Mapping[str, Specialty] = MappingProxyType(
    {
        "oncology": Specialty(
            chapter="neoplasms",
            notes=4_000,
            style="letter",
            clauses=(1, 2),
            drugs=1.3,
            short=0.15,
            slips=0.02,
            endings=("mab", "nib", "platin", "rubicin", "taxel", "citabine"),
            diseases=("AML", "ALL", "CLL", "NHL", "NSCLC", "RCC"),
            medicines=("MTX", "5FU"),
            traps=(
                "ALL lines were flushed",
                "CA {n} was sent to the laboratory",
                "The AML nurse will call at {n}",
                "We discussed ALL of this with her",
            ),
        ),
        "cardiology": Specialty(
            chapter="circulatory",
            notes=1_000,
            style="telegram",
            clauses=(1, 3),
            drugs=1.3,
            short=0.35,
            slips=0.05,
            endings=("olol", "pril", "sartan", "statin", "dipine", "xaban", "darone", "lactone"),
            diseases=("AF", "MI", "CHF", "HTN", "DVT", "PE", "AS"),
            medicines=("GTN", "ASA", "HCTZ"),
            traps=("PE : hs dual , no murmur", "analgesia AS required", "echo AS booked"),
        ),
        "orthopaedics": Specialty(
            chapter="musculoskeletal",
            notes=650,
            style="form",
            clauses=(1, 2),
            drugs=0.7,
            short=0.2,
            slips=0.03,
            endings=("oxib", "profen", "dronate", "fenac"),
            diseases=("RA", "OA", "SLE", "AS", "PMR"),
            medicines=("MTX", "HCQ"),
            traps=("SATS : {n} % on RA", "DRAIN : output AS charted", "MOBILITY : AS tolerated"),
        ),
        "psychiatry": Specialty(
            chapter="mental",
            notes=450,
            style="letter",
            clauses=(2, 3),
            drugs=1.0,
            short=0.2,
            slips=0.03,
            endings=("oxetine", "pine", "pam", "idone", "zolam", "triptyline"),
            diseases=("MDD", "GAD", "BPD", "OCD", "PTSD", "ADHD"),
            traps=("The GAD - {n} score was {n}", "She filled in the PTSD scale again"),
        ),
        "pulmonology": Specialty(
            chapter="respiratory",
            notes=300,
            style="telegram",
            clauses=(1, 3),
            drugs=1.0,
            short=0.35,
            slips=0.06,
            endings=("terol", "sone", "floxacin", "lukast", "phylline"),
            diseases=("COPD", "TB", "PE", "CF", "OSA", "CAP"),
            traps=("PE : air entry equal", "TB screen per protocol", "sats {n} % RA"),
        ),
        "gastroenterology": Specialty(
            chapter="digestive",
            notes=200,
            style="form",
            clauses=(2, 3),
            drugs=1.0,
            short=0.25,
            slips=0.02,
            endings=("prazole", "setron", "salazine", "tidine"),
            diseases=("UC", "GORD", "SBO", "PUD"),
            traps=("SENT : UC and blood cultures", "UC : no growth"),
        ),
        "urology": Specialty(
            chapter="genitourinary",
            notes=140,
            style="telegram",
            clauses=(1, 2),
            drugs=1.0,
            short=0.3,
            slips=0.05,
            endings=("osin", "steride", "cillin", "afil", "fenacin"),
            diseases=("UTI", "CKD", "BPH", "AKI", "PID"),
            traps=("PID {n} checked w wristband", "no CVA tenderness"),
        ),
        "obstetrics": Specialty(
            chapter="pregnancy",
            notes=90,
            style="form",
            clauses=(1, 3),
            drugs=0.7,
            short=0.3,
            slips=0.03,
            endings=("tocin", "gesterone", "estradiol", "prost"),
            diseases=("GDM", "PET", "PPH", "APH"),
            medicines=("MgSO4",),
            traps=("SCAN : BPD {n} mm", "BOOKED : PET scan after delivery"),
        ),
        "trauma": Specialty(
            chapter="injury",
            notes=60,
            style="telegram",
            clauses=(2, 4),
            drugs=0.5,
            short=0.2,
            slips=0.08,
            endings=("caine", "fentanil", "codone", "morphone"),
            diseases=("SAH", "SDH", "TBI"),
            traps=("PE : gcs {n}", "TBI pathway opened"),
        ),
        "eye-clinic": Specialty(
            chapter="eye",
            notes=40,
            style="letter",
            clauses=(1, 2),
            drugs=1.0,
            short=0.3,
            slips=0.03,
            endings=("prost", "zolamide", "timolol", "afloxacin"),
            diseases=("POAG", "AMD", "DR", "RD"),
            traps=("DR Marlin examined both eyes", "The vision was CF at {n} feet"),
        ),
    }
)
