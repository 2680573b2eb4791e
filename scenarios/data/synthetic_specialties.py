"""SYNTHETIC notes of ten specialist hospitals, with the places of diseases and drugs.

Nobody wrote these notes about a patient. Diseases are phrases of one chapter of ICD-10-CM a
hospital, and of others for one disease in four; drugs are names of DrugBank's open vocabulary,
those of the specialty by the ends of their names. Common terms are much more frequent than rare
ones (Zipf, exponent 0.8). Hospitals differ in number of notes (40 to 4,000), vocabulary, style,
length, abbreviations and misspellings (`scenarios.data.specialty_words`).

What makes it hard, as real notes are: the same words name a disease in one place and a clinic,
a score or a measurement in another; words such as "acute" stand beside a term or are its first;
terms are abbreviated and misspelt; persons who are held out have terms that nobody else has. And
who marked the notes made mistakes: each entity is left out with a probability of 2 %, and one of
two words or more lacks its last word with 2 % (203 of 10,032, and 59 of 4,105), in held-out notes
too. So no model can be right everywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import pandas as pd

from scenarios.data.datasets import drug_names
from scenarios.data.icd10_phrases import diagnoses
from scenarios.data.specialty_words import AFTER, BEFORE, CLAUSES, SPECIALTIES, Specialty
from scenarios.data.synthetic_sentences import DISEASE, DRUG
from sites.text.iob2_tags import Span, tags_of

Names: TypeAlias = "pd.Series[str]"
Words: TypeAlias = tuple[str, ...]

HOSPITALS = tuple(SPECIALTIES)
LEFT_OUT = 0.02  # of the entities
CUT_SHORT = 0.02  # of the entities of two words or more
TRAPS = 0.08  # of the clauses, where an abbreviation means something else
QUALIFIED = 0.15  # of the diseases, by a word before them; and as many by some after them
ELSEWHERE = 0.25  # of the diseases, from all chapters
EVERYWHERE = 0.3  # of the drugs, from all names

_SEED = 20_261_130
_ZIPF = 0.8
_MOST_NOTES = 4  # of a patient
_MOST_WORDS = 6  # of a term
_SHORTEST_MISSPELT = 5  # letters
_IN_CAPITALS = 0.3  # of the terms in forms
_NEVER_SAID = frozenset({"unspecified", "elsewhere"})
_FULL_STOPS = 0.3  # of the clauses of telegrams


@dataclass(frozen=True)
class _Vocabulary:
    """The terms of one hospital, the most frequent first.

    Args:
        diseases: Of its chapter.
        drugs: Of its specialty.
        other_diseases: Of all chapters.
        other_drugs: All of them.
    """

    diseases: Sequence[Words]
    drugs: Sequence[Words]
    other_diseases: Sequence[Words]
    other_drugs: Sequence[Words]


@lru_cache(maxsize=2)
def specialty_notes(*, marked_without_mistakes: bool = False) -> pd.DataFrame:
    """Return SYNTHETIC notes: `patient`, `hospital`, `tokens`, `tags`, one note a row.

    Guarantee: the same rows on every machine. Tags are IOB2. A patient has one hospital. The
    result is cached: callers must not change it.

    Args:
        marked_without_mistakes: Whether to leave out the mistakes of those who marked the notes;
            the words are the same.

    Raises:
        DatasetCorrupted: The terms are absent or not those of this version of the project.
    """
    rng, mistakes = np.random.default_rng(_SEED), np.random.default_rng(_SEED + 1)
    terms = _disease_terms()
    everywhere = rng.permutation(sorted({one for some in terms.values() for one in some}))
    names = [(str(name),) for name in rng.permutation(drug_names())]
    rows = []
    for hospital, specialty in SPECIALTIES.items():
        own = [name for name in names if name[0].endswith(specialty.endings)]
        vocabulary = _Vocabulary(
            diseases=[tuple(one.split()) for one in rng.permutation(terms[specialty.chapter])],
            drugs=own,
            other_diseases=[tuple(one.split()) for one in everywhere],
            other_drugs=names,
        )
        for patient, tokens, spans in _notes(specialty, vocabulary, rng):
            kept = spans if marked_without_mistakes else _with_mistakes(spans, mistakes)
            rows.append(
                {
                    "patient": f"{hospital}-{patient}",
                    "hospital": hospital,
                    "tokens": tokens,
                    "tags": list(tags_of(kept, len(tokens))),
                }
            )
    return pd.DataFrame(rows)


def specialty_of(frame: pd.DataFrame) -> Names:
    """Return the hospital of each note, one of `HOSPITALS`."""
    return frame["hospital"].astype(object).rename("site")


def _notes(
    specialty: Specialty, vocabulary: _Vocabulary, rng: np.random.Generator
) -> Iterator[tuple[int, list[str], list[Span]]]:
    """Yield the patient, the words and the entities of each note of a hospital."""
    made, patient = 0, 0
    while made < specialty.notes:
        own = _of_patient(specialty, vocabulary, rng)
        patient += 1
        for _ in range(min(int(rng.integers(1, _MOST_NOTES + 1)), specialty.notes - made)):
            yield patient, *_note(specialty, own, rng)
            made += 1


def _of_patient(
    specialty: Specialty, vocabulary: _Vocabulary, rng: np.random.Generator
) -> dict[str, list[Words]]:
    """Return the terms of one patient, by the place that they fill."""
    diseases = [
        _term(vocabulary.diseases, vocabulary.other_diseases, ELSEWHERE, rng) for _ in range(3)
    ]
    drugs = [_term(vocabulary.drugs, vocabulary.other_drugs, EVERYWHERE, rng) for _ in range(3)]
    short = specialty.short
    if rng.random() < 2 * short:
        diseases[0] = (str(rng.choice(specialty.diseases)),)
    if specialty.medicines and rng.random() < short:
        drugs[0] = (str(rng.choice(specialty.medicines)),)
    return {"{d}": diseases, "{m}": drugs, "{x}": diseases, "{y}": drugs}


def _term(
    own: Sequence[Words], others: Sequence[Words], share: float, rng: np.random.Generator
) -> Words:
    terms = others if rng.random() < share else own
    # Rounded, so that every machine draws the same.
    weights = np.round(np.arange(1.0, len(terms) + 1) ** -_ZIPF, 9)
    return terms[int(rng.choice(len(terms), p=weights / weights.sum()))]


def _note(
    specialty: Specialty, own: dict[str, list[Words]], rng: np.random.Generator
) -> tuple[list[str], list[Span]]:
    """Return the words of a note, and the entities among them."""
    clauses = CLAUSES[specialty.style]
    weights = np.array([specialty.drugs if "{m}" in clause else 1.0 for clause in clauses])
    fewest, most = specialty.clauses
    tokens: list[str] = []
    spans: list[Span] = []
    for _ in range(rng.integers(fewest, most + 1)):
        if rng.random() < TRAPS:
            clause = str(rng.choice(specialty.traps))
        else:
            clause = clauses[int(rng.choice(len(clauses), p=weights / weights.sum()))]
        _write(clause, specialty, own, rng, tokens, spans)
        # A telegram has few full stops.
        tokens += [] if specialty.style == "telegram" and rng.random() >= _FULL_STOPS else ["."]
    return tokens, spans


def _write(
    clause: str,
    specialty: Specialty,
    own: dict[str, list[Words]],
    rng: np.random.Generator,
    tokens: list[str],
    spans: list[Span],
) -> None:
    """Add the words of a clause, and its entities."""
    left = {part: list(terms) for part, terms in own.items()}
    for part in clause.split():
        if part == "{n}":
            tokens.append(str(rng.integers(2, 120)))
        elif part in own:
            before, after = _qualifiers(rng) if part == "{d}" else ((), ())
            term = left[part].pop(int(rng.integers(len(left[part]))))
            words = _as_written(term, specialty, rng)
            tokens.extend(before)
            if part in ("{d}", "{m}"):
                kind = DISEASE if part == "{d}" else DRUG
                spans.append(Span(kind, len(tokens), len(tokens) + len(words)))
            tokens.extend((*words, *after))
        else:
            tokens.append(part)


def _qualifiers(rng: np.random.Generator) -> tuple[Words, Words]:
    """Return the words before and after a disease that are no part of it, mostly none."""
    before, after = rng.random(2) < QUALIFIED
    return (
        tuple(str(rng.choice(BEFORE)).split()) if before else (),
        tuple(str(rng.choice(AFTER)).split()) if after else (),
    )


def _as_written(term: Words, specialty: Specialty, rng: np.random.Generator) -> list[str]:
    words = [_misspelt(word, specialty.slips, rng) for word in term]
    in_capitals = specialty.style == "form" and rng.random() < _IN_CAPITALS
    return [word.upper() for word in words] if in_capitals else words


def _misspelt(word: str, share: float, rng: np.random.Generator) -> str:
    """Return a word, of which a share lacks a letter, has one twice, or has two swapped."""
    if len(word) < _SHORTEST_MISSPELT or rng.random() >= share:
        return word
    at = int(rng.integers(1, len(word) - 2))
    return (
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    )[int(rng.integers(3))]


def _with_mistakes(spans: Sequence[Span], rng: np.random.Generator) -> list[Span]:
    """Return the entities as somebody marked them who overlooks some and ends some too early."""
    kept = []
    for span in spans:
        overlooked, cut = rng.random() < LEFT_OUT, rng.random() < CUT_SHORT
        long = span.end - span.start > 1
        if not overlooked:
            kept.append(Span(span.kind, span.start, span.end - 1) if cut and long else span)
    return kept


def _disease_terms() -> dict[str, list[str]]:
    """Return the terms of each chapter, in small letters and as notes would say them."""
    found: dict[str, list[str]] = {}
    for row in diagnoses().itertuples():
        term = str(row.text).removesuffix(" NOS").removesuffix(", unspecified")
        said = term.removeprefix("Other ").removeprefix("Unspecified ")
        words = said.split()
        plain = all(word.replace("-", "").isalpha() for word in words)
        if plain and not _NEVER_SAID & {*words} and 0 < len(words) <= _MOST_WORDS:
            lowered = said if said[1:2].isupper() else said[0].lower() + said[1:]
            found.setdefault(str(row.chapter), []).append(lowered)
    return {chapter: list(dict.fromkeys(terms)) for chapter, terms in found.items()}
