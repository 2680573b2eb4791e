"""Four banks find rare fraud among SYNTHETIC card payments, in three difficulties."""

from dataclasses import replace
from functools import partial

from consortium.charter.document import Floors
from scenarios.data.synthetic_cards import (
    COMPONENTS,
    LARGEST,
    PAYMENTS,
    bank_of_payment,
    card_payments,
)
from scenarios.scenario import RECALL_AT_1_PERCENT, Scenario
from sites.schema.tables import ClassLabel, Number, Schema

TABLE = Schema(
    name="card-payments",
    person="card",
    features=(
        *(Number(name=name, low=-LARGEST, high=LARGEST) for name in COMPONENTS),
        Number(name="amount", low=0, high=30_000, unit="EUR", scale="log"),
    ),
    label=ClassLabel(column="class", classes=("0", "1")),
)

SCENARIO = Scenario(
    name="card-fraud",
    title="Four banks learn together which card payments are fraud",
    story=(
        "48,000 SYNTHETIC card payments of which 0.4 % are fraud, of three kinds. The largest bank "
        "has six times the payments of the smallest, and each meets other kinds. Columns are named "
        "as in the file of European cards; bring your own with --data."
    ),
    task="credit",
    table=TABLE,
    records=card_payments,
    site_of_row=bank_of_payment,
    sites=tuple(PAYMENTS),
    run_config={"model": "logistic", "momentum": 0.9, "weight-decay": 1e-3, "batch-size": 256},
    floors=Floors(full_class_examples=2_000),
    headline=RECALL_AT_1_PERCENT,
)

EASY = replace(SCENARIO, name="card-fraud-easy", records=partial(card_payments, "easy"))
HARD = replace(SCENARIO, name="card-fraud-hard", records=partial(card_payments, "hard"))
