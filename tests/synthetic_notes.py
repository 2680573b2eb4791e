"""SYNTHETIC notes as long as real ones, generated from a seed around real phrases.

Nobody wrote these notes about a patient. A note has one phrase of its chapter, anywhere in text
that says nothing about the chapter, so that a model that reads only the beginning misses it.
"""

import numpy as np
import pandas as pd

from scenarios.data.icd10_phrases import diagnoses

_FILLERS = (
    "The patient was seen in clinic together with a relative.",
    "Vital signs were recorded by the nurse and lie within normal limits.",
    "Current medication was reviewed and no changes were made.",
    "There is no known drug allergy.",
    "The patient sleeps well, eats well and lives independently.",
    "Laboratory values were discussed and will be repeated in three months.",
    "A letter will be sent to the general practitioner.",
    "The patient agrees with the plan and has no further questions.",
    "Previous records were requested from the referring hospital.",
    "Transport home was arranged by the ward clerk.",
)


def synthetic_notes(n_notes: int, *, sentences: int, seed: int) -> pd.DataFrame:
    """Return SYNTHETIC notes: `person`, `chapter`, `text`.

    Guarantee: the same arguments give the same notes. Each has `sentences` sentences, one of which
    has a phrase of its chapter.

    Args:
        n_notes: Number of notes.
        sentences: Sentences in each, at least 1; thirty are about 300 words.
        seed: Seed of all draws.
    """
    rng = np.random.default_rng(seed)
    phrases = diagnoses()
    rows = []
    for number, drawn in enumerate(rng.integers(len(phrases), size=n_notes)):
        prose = [_FILLERS[item] for item in rng.integers(len(_FILLERS), size=sentences)]
        prose[int(rng.integers(sentences))] = f"Diagnosis: {phrases['text'].iat[drawn]}."
        chapter = phrases["chapter"].iat[drawn]
        rows.append({"person": f"p{number:05}", "chapter": chapter, "text": " ".join(prose)})
    return pd.DataFrame(rows)
