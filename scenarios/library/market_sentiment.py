"""Four banks learn the tone of financial news, from synthetic sentences.

It has a file of its own, as every scenario of the library has.
"""

from consortium.charter.document import Floors
from scenarios.data.synthetic_news import BANKS, CLASSES, bank_of, market_sentences
from scenarios.scenario import ENCODER_TRAINING, MACRO_F1, Scenario
from sites.schema.tables import ClassLabel
from sites.schema.texts import NotesSchema

SCENARIO = Scenario(
    name="market-sentiment",
    title="Four banks learn together whether news is good or bad",
    story=(
        "3,200 SYNTHETIC sentences on 320 invented companies: rising sales are good news, rising "
        "costs are bad. Each bank follows other trades, with more good or more bad news. Bring "
        "your own sentences with --data."
    ),
    task="market-sentiment",
    table=NotesSchema(
        name="market-news",
        person="company",
        label=ClassLabel(column="sentiment", classes=CLASSES),
    ),
    records=market_sentences,
    synthetic=True,
    site_of_row=bank_of,
    sites=BANKS,
    run_config={
        "num-server-rounds": 5,
        "batch-size": 32,
        **ENCODER_TRAINING,
    },
    floors=Floors(full_class_examples=500),
    headline=MACRO_F1,
)
