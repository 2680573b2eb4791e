"""Ten specialist hospitals learn to find diseases and drugs, in SYNTHETIC notes."""

from consortium.charter.document import Floors
from scenarios.data.synthetic_sentences import DISEASE, DRUG
from scenarios.data.synthetic_specialties import HOSPITALS, specialty_notes, specialty_of
from scenarios.scenario import ENCODER_TRAINING, ENTITY_F1, Scenario
from sites.schema.texts import EntitySchema

SCENARIO = Scenario(
    name="ten-hospitals",
    title="Ten specialist hospitals learn together to find diseases and drugs in notes",
    story=(
        "6,930 SYNTHETIC notes of ten specialties, from 40 at the smallest hospital to 4,000 at "
        "the largest; each has its own diseases, drugs and way of writing. The same words name a "
        "disease in one place and a clinic in another. Bring your own notes (IOB2) with --data."
    ),
    task="clinical-entities",
    table=EntitySchema(name="specialty-notes", person="patient", types=(DISEASE, DRUG)),
    records=specialty_notes,
    synthetic=True,
    site_of_row=specialty_of,
    sites=HOSPITALS,
    run_config={
        **ENCODER_TRAINING,
        "num-server-rounds": 3,
        "batch-size": 16,
        "min-local-steps": 0,
    },
    floors=Floors(full_class_examples=2_500),
    headline=ENTITY_F1,
)
