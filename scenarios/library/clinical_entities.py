"""Hospitals learn to find diseases and drugs, in SYNTHETIC text: four in sentences, ten in notes.

Of the ten, each has a specialty, with words and a way of writing of its own.
"""

from consortium.charter.document import Floors
from scenarios.data import synthetic_specialties
from scenarios.data.synthetic_sentences import (
    DISEASE,
    DRUG,
    HOSPITALS,
    annotated_sentences,
    hospital_of,
)
from scenarios.scenario import ENCODER_TRAINING, ENTITY_F1, Scenario
from sites.schema.texts import EntitySchema

SCENARIO = Scenario(
    name="clinical-entities",
    title="Four hospitals learn together to find diseases and drugs in text",
    story=(
        "1,920 SYNTHETIC sentences of 320 made-up patients: real disease terms and drug names in "
        "sentences that nobody wrote about a patient. Held-out patients have terms that training "
        "never saw. Bring your own sentences (IOB2) with --data."
    ),
    task="clinical-entities",
    table=EntitySchema(name="annotated-sentences", person="patient", types=(DISEASE, DRUG)),
    records=annotated_sentences,
    synthetic=True,
    site_of_row=hospital_of,
    sites=HOSPITALS,
    run_config={
        "num-server-rounds": 6,
        "batch-size": 16,
        **ENCODER_TRAINING,
    },
    floors=Floors(full_class_examples=500),
    headline=ENTITY_F1,
)

TEN_HOSPITALS = Scenario(
    name="ten-hospitals",
    title="Ten specialist hospitals learn together to find diseases and drugs in notes",
    story=(
        "6,930 SYNTHETIC notes of ten specialties, from 40 at the smallest hospital to 4,000 at "
        "the largest; each has its own diseases, drugs and way of writing. The same words name a "
        "disease in one place and a clinic in another. Bring your own notes (IOB2) with --data."
    ),
    task="clinical-entities",
    table=EntitySchema(name="specialty-notes", person="patient", types=(DISEASE, DRUG)),
    records=synthetic_specialties.specialty_notes,
    synthetic=True,
    site_of_row=synthetic_specialties.specialty_of,
    sites=synthetic_specialties.HOSPITALS,
    run_config={
        **ENCODER_TRAINING,
        "num-server-rounds": 5,
        "batch-size": 16,
        # More than half a pass of the largest, which takes 200. With their own few steps the small
        # hospitals hardly move the shared model, and it learns how the largest one writes.
        "min-local-steps": 125,
    },
    # The next two in size have a say too: with 2,500 the largest has nearly half of all weight.
    floors=Floors(full_class_examples=1_000),
    headline=ENTITY_F1,
)
