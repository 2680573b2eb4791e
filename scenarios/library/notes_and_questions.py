"""Two hospitals with notes and two services with patients' questions learn one model together.

It has a file of its own, as every scenario of the library has.
"""

from consortium.charter.document import Floors
from scenarios.data.icd10_phrases import CHAPTERS
from scenarios.data.synthetic_questions import (
    NOTES_SITES,
    QUESTIONS_SITES,
    notes_and_questions,
    site_of,
)
from scenarios.scenario import ENCODER_TRAINING, MACRO_F1, Scenario
from sites.schema.tables import ClassLabel
from sites.schema.texts import NotesSchema

SCENARIO = Scenario(
    name="notes-and-questions",
    title="Hospitals with notes and services with patients' questions learn one model together",
    story=(
        "Two domains, one label: real diagnostic phrases of ICD-10-CM at two hospitals that are "
        "made up, and 1,200 SYNTHETIC questions in everyday words at a phone line and a web desk. "
        "Each alone reads only its own kind. Bring your own texts with --data."
    ),
    task="clinical-notes",
    table=NotesSchema(
        name="notes-and-questions",
        label=ClassLabel(column="chapter", classes=tuple(CHAPTERS.values())),
    ),
    records=notes_and_questions,
    synthetic=True,
    site_of_row=site_of,
    sites=(*NOTES_SITES, *QUESTIONS_SITES),
    run_config={
        "num-server-rounds": 3,
        "batch-size": 16,
        "max-tokens": 64,
        **ENCODER_TRAINING,
    },
    floors=Floors(full_class_examples=300),
    headline=MACRO_F1,
)
