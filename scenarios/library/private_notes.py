"""Five specialty hospitals learn to tell diagnoses apart, with differential privacy."""

from dataclasses import replace

import pandas as pd

from scenarios.data.icd10_phrases import diagnoses
from scenarios.library import clinical_notes
from scenarios.trials import Campaign, PrivacyTrials

PHRASES = 3


def first_phrases() -> pd.DataFrame:
    """Return the first `PHRASES` phrases of each category: a person with that many notes."""
    return diagnoses().groupby("category", sort=False).head(PHRASES).reset_index(drop=True)


SCENARIO = replace(
    clinical_notes.SCENARIO,
    name="private-notes",
    title="Five hospitals learn together from notes, and no person shows in the model",
    story=(
        "The first three phrases of each category of clinical-notes: real phrases of ICD-10-CM at "
        "hospitals that are made up; a category stands for a person. Only the head travels. With "
        "some 140 persons a hospital, privacy is expensive, and the scenario shows how much."
    ),
    records=first_phrases,
    run_config={
        "travels": "head",
        "max-tokens": 64,
        "num-server-rounds": 3,
        "weighting": "equal",
        "local-optimizer": "sgd",
        "learning-rate": 5.0,
        "dp.unit": "person",
        "dp.epsilon": 8.0,
        "dp.clip-norm": 1.0,
        "dp.sampling-rate": 0.5,
        "dp.steps": 10,
        "dp.max-records-per-person": PHRASES,
    },
    privacy=PrivacyTrials(
        epsilons=(8.0, 3.0, 1.0, 0.5),
        repeats=1,
        without={
            "dp.unit": "off",
            "dp.epsilon": 0.0,
            "local-optimizer": "adam",
            "learning-rate": 1e-2,
            "batch-size": 32,
            "local-epochs": 2,
        },
        campaign=Campaign(epsilon=3.0, runs=2, ceilings={"": 6.0, "mind-and-eye": 2.0}, delta=1e-3),
    ),
)
