"""Five clinics learn to tell ten diagnoses apart from 128 markers, on synthetic patients."""

from consortium.charter.document import Floors
from scenarios.data.synthetic_clinics import (
    CLINICS,
    DIAGNOSES,
    MARKERS,
    clinic_of,
    clinic_patients,
)
from scenarios.scenario import MACRO_F1, Scenario
from sites.schema.tables import ClassLabel, Number, Schema

SCENARIO = Scenario(
    name="five-clinics",
    title="Five clinics learn together to tell ten diagnoses apart",
    story=(
        "7,000 SYNTHETIC patients with 128 laboratory markers. The clinics have 500 to 2,400 of "
        "them and see the diagnoses in other shares; one has never seen one of the ten. Bring "
        "your own table with --data."
    ),
    task="diagnosis",
    table=Schema(
        name="clinic-patients",
        person="patient",
        features=tuple(Number(name=name, low=-50, high=50) for name in MARKERS),
        label=ClassLabel(column="diagnosis", classes=DIAGNOSES),
    ),
    records=clinic_patients,
    synthetic=True,
    site_of_row=clinic_of,
    sites=tuple(CLINICS),
    run_config={"model": "mlp", "hidden-units": 128, "batch-size": 16},
    floors=Floors(full_class_examples=500),
    headline=MACRO_F1,
)
