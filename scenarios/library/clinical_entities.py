"""Four hospitals learn to find diseases and drugs, in synthetic sentences.

It has a file of its own, as every scenario of the library has.
"""

from consortium.charter.document import Floors
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
