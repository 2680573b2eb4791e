"""SYNTHETIC clinical sentences with exact gold entities: real terms in invented sentences.

Nobody wrote these sentences about a patient. The disease terms are phrases of ICD-10-CM and the
drug names those of DrugBank's open vocabulary, but the text around them is invented. Figures on
these sentences show whether the program works, not how well it would do on real notes.
"""

import re
from functools import cache
from typing import TypeAlias

import numpy as np
import pandas as pd

from scenarios.data.datasets import drug_names
from scenarios.data.icd10_phrases import diagnoses
from sites.text.iob2_tags import Span, tags_of

Names: TypeAlias = "pd.Series[str]"

DISEASE, DRUG = "Disease", "Drug"
_CHAPTERS = {
    "cedar-hospital": ("circulatory", "respiratory", "digestive"),
    "lake-hospital": ("injury", "musculoskeletal"),
    "mill-hospital": ("pregnancy", "genitourinary", "eye"),
    "north-hospital": ("neoplasms", "mental"),
}
HOSPITALS = tuple(_CHAPTERS)
SENTENCES_A_PATIENT = 6
MOST_PATIENTS = 320
_MOST_WORDS = 6
_SEED = 20_260_401

_TOKEN = re.compile(r"\w+(?:['-]\w+)*|[^\w\s]")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z' -]*")

# {d} is a disease term, {m} a drug name. Some sentences have neither, some only look as if.
_CARRIERS = (
    "The patient has a history of {d} .",
    "She was admitted with {d} and started on {m} .",
    "He denies {d} .",
    "{m} was stopped because of nausea .",
    "Known {d} , treated with {m} 20 mg daily .",
    "No evidence of {d} on imaging .",
    "Findings are consistent with {d} .",
    "{d} was ruled out .",
    "Continue {m} and {m} ; review in two weeks .",
    "Her mother had {d} .",
    "Past medical history : {d} , {d} .",
    "Assessment : {d} , stable on {m} .",
    "Allergic to {m} .",
    "{d} since 2019 , worse over the last month .",
    "The differential includes {d} and {d} .",
    "We discussed the risks and benefits of {m} .",
    "Switched from {m} to {m} without problems .",
    "The family asked about {d} .",
    "Vital signs are stable and the abdomen is soft .",
    "He lives with his wife and walks two miles a day .",
    "Discharged home in good condition .",
    "Dr. Marlin from Cardiology will see the patient on Monday .",
    "Blood pressure 132 / 84 , pulse 71 , temperature 36.8 .",
    "Follow up with the Disease Control clinic if needed .",
    "The drug chart was reviewed with the ward pharmacist .",
    "Chest film and laboratory values were unremarkable .",
    "Consent was obtained before the procedure .",
    "Tolerated {m} well , no rash .",
    "Screening for {d} was negative .",
    "On {m} for suspected {d} .",
)


@cache
def annotated_sentences() -> pd.DataFrame:
    """Return SYNTHETIC sentences: `patient`, `chapter`, `tokens`, `tags`.

    Guarantee: the same rows on every machine. Tags are IOB2 and mark exactly the inserted terms. A
    person is an invented patient whose diseases are all of one ICD category and whose drugs no
    other patient has, so that held-out persons have terms that training never saw. The result is
    cached: callers must not change it.

    Raises:
        DatasetCorrupted: The terms are absent or not those of this version of the project.
    """
    rng = np.random.default_rng(_SEED)
    terms = _disease_terms()
    names = rng.permutation(drug_names()).tolist()
    patients = rng.permutation(list(terms)).tolist()[:MOST_PATIENTS]
    each = len(names) // len(patients)
    rows = []
    for number, category in enumerate(patients):
        chapter, diseases = terms[category]
        # Slices that do not overlap: no two patients share a drug.
        drugs = names[number * each : (number + 1) * each]
        for _ in range(SENTENCES_A_PATIENT):
            carrier = _CARRIERS[rng.integers(len(_CARRIERS))]
            tokens, tags = _fill_carrier(carrier, diseases, drugs, rng)
            rows.append({"patient": category, "chapter": chapter, "tokens": tokens, "tags": tags})
    return pd.DataFrame(rows)


def hospital_of(frame: pd.DataFrame) -> Names:
    """Return the hospital of each sentence, one of `HOSPITALS`, by the chapter of its patient.

    This skew is artificial: each hospital sees only the diseases of its own chapters.
    """
    home = {chapter: site for site, chapters in _CHAPTERS.items() for chapter in chapters}
    return frame["chapter"].map(home).astype(object).rename("site")


def _fill_carrier(
    carrier: str, diseases: list[str], drugs: list[str], rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    tokens: list[str] = []
    spans: list[Span] = []
    for part in carrier.split(" "):
        if part not in ("{d}", "{m}"):
            tokens.append(part)
            continue
        kind, terms = (DISEASE, diseases) if part == "{d}" else (DRUG, drugs)
        words = _TOKEN.findall(terms[rng.integers(len(terms))])
        # A term at the start of a sentence begins with a capital.
        if not tokens:
            words[0] = words[0][0].upper() + words[0][1:]
        spans.append(Span(kind, len(tokens), len(tokens) + len(words)))
        tokens.extend(words)
    return tokens, list(tags_of(spans, len(tokens)))


def _disease_terms() -> dict[str, tuple[str, list[str]]]:
    """Return chapter and plain terms by category, for categories that have any."""
    found: dict[str, tuple[str, list[str]]] = {}
    for row in diagnoses().itertuples():
        term = str(row.text).removesuffix(" NOS").removesuffix(", unspecified")
        if _PLAIN.fullmatch(term) and len(term.split()) <= _MOST_WORDS:
            _, terms = found.setdefault(str(row.category), (str(row.chapter), []))
            terms.append(_lower_first_word(term))
    return {code: item for code, item in found.items() if item[1]}


def _lower_first_word(term: str) -> str:
    """Return a term as within a sentence: lower-case at its start, unless an acronym."""
    return term if term[1:2].isupper() else term[0].lower() + term[1:]
