"""Hospitals learn to which chapter of ICD-10-CM a phrase belongs, and a patient's question.

It has a file of its own, as the scenarios of every kind of records have.
"""

from consortium.charter.document import Floors
from scenarios.data.icd10_phrases import CHAPTERS, HOSPITALS, diagnoses, specialty_hospitals
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

TWO_DOMAINS = Scenario(
    name="notes-and-questions",
    title="Hospitals with notes and services with patients' questions learn one model together",
    story=(
        "Two domains, one label: real diagnostic phrases of ICD-10-CM at two hospitals that are "
        "made up, and 1,200 SYNTHETIC questions in everyday words at a phone line and a web desk. "
        "Bring your own texts with --data."
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
