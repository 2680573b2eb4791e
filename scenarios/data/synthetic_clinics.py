"""SYNTHETIC patients of five clinics: 128 laboratory markers, ten diagnoses, from a seed.

A patient has one of ten diagnoses, and a diagnosis has two forms. Each of the 20 forms has a
centre in 12 hidden quantities, drawn from N(0, 1.3^2); a patient lies around it with N(0, 1). A
marker is a fixed mixture of these quantities, with weights from N(0, 1/12), plus noise from
N(0, 0.5^2). So a marker has mean 0 and a variance of about 1.3^2 + 1 + 0.5^2 = 2.9, up to what 20
drawn centres leave. Two forms of one diagnosis are no nearer to each other than to another
diagnosis, so a sum of markers tells diagnoses apart less well than a hidden layer does.

The clinics differ in size, in their shares of the diagnoses, which are drawn from a Dirichlet
distribution of concentration 2, and in their instruments: each reads each marker too high or too
low by a constant from N(0, 0.1^2).
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
import pandas as pd

CLINICS: Mapping[str, int] = MappingProxyType(
    {
        "coast-clinic": 2_400,
        "forest-clinic": 1_800,
        "lake-clinic": 1_400,
        "park-clinic": 900,
        "station-clinic": 500,
    }
)
DIAGNOSES = tuple("abcdefghij")
MARKERS = tuple(f"marker_{number:03}" for number in range(1, 129))
FORMS = 2
HIDDEN = 12
SPREAD = 1.3  # of the centres
NOISE = 0.5  # of a marker
OFFSET = 0.1  # of an instrument
CONCENTRATION = 2.0
_SEED = 20_261_130


@cache
def clinic_patients() -> pd.DataFrame:
    """Return SYNTHETIC patients: `patient`, `clinic`, the columns of `MARKERS`, `diagnosis`.

    Guarantee: the same rows each time, markers rounded to three decimals. On another kind of
    processor a marker may be 0.001 away, where it lay between two roundings. A patient has one
    row. The result is cached: callers must not change it.
    """
    rng = np.random.default_rng(_SEED)
    centres = rng.normal(scale=SPREAD, size=(len(DIAGNOSES), FORMS, HIDDEN))
    weights = rng.normal(scale=HIDDEN**-0.5, size=(HIDDEN, len(MARKERS)))
    tables = []
    for clinic, size in CLINICS.items():
        shares = rng.dirichlet(np.full(len(DIAGNOSES), CONCENTRATION))
        offsets = rng.normal(scale=OFFSET, size=len(MARKERS))
        diagnoses = rng.choice(len(DIAGNOSES), size=size, p=shares)
        forms = rng.integers(FORMS, size=size)
        hidden = centres[diagnoses, forms] + rng.normal(size=(size, HIDDEN))
        noise = rng.normal(scale=NOISE, size=(size, len(MARKERS)))
        table = pd.DataFrame(np.round(hidden @ weights + noise + offsets, 3), columns=MARKERS)
        table.insert(0, "clinic", clinic)
        table["diagnosis"] = np.array(DIAGNOSES)[diagnoses]
        tables.append(table)
    patients = pd.concat(tables, ignore_index=True)
    patients.insert(0, "patient", [f"p{number:04}" for number in range(len(patients))])
    return patients


def clinic_of(frame: pd.DataFrame) -> "pd.Series[str]":
    """Return the clinic of each patient."""
    return frame["clinic"].astype(str).rename("site")
