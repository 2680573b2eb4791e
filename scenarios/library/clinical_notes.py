"""Five specialty hospitals learn to which chapter of ICD-10-CM a diagnostic phrase belongs.

It has a file of its own, as every scenario of the library has.
"""

from consortium.charter.document import Floors
from scenarios.data.icd10_phrases import CHAPTERS, HOSPITALS, diagnoses, specialty_hospitals
from scenarios.scenario import ENCODER_TRAINING, MACRO_F1, Scenario
from sites.schema.tables import ClassLabel
from sites.schema.texts import NotesSchema

SCENARIO = Scenario(
    name="clinical-notes",
    title="Five specialty hospitals learn together to tell diagnoses apart",
    story=(
        "6,209 real diagnostic phrases of ICD-10-CM in ten chapters. The hospitals are made up: "
        "each specialty has six of ten categories of its two chapters, the rest are spread. Whole "
        "categories are held out. Bring your own notes with --data."
    ),
    task="clinical-notes",
    table=NotesSchema(
        name="diagnoses",
        person="category",
        label=ClassLabel(column="chapter", classes=tuple(CHAPTERS.values())),
    ),
    records=diagnoses,
    synthetic=True,
    site_of_row=specialty_hospitals,
    sites=HOSPITALS,
    run_config={
        "num-server-rounds": 5,
        "batch-size": 32,
        **ENCODER_TRAINING,
    },
    floors=Floors(full_class_examples=1_000),
    headline=MACRO_F1,
)
