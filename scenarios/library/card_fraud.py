"""Four banks find rare fraud among SYNTHETIC card payments, in three difficulties."""

from dataclasses import replace
from functools import partial

from consortium.charter.document import Floors
from scenarios.data.synthetic_cards import (
    COMPONENTS,
    PAYMENTS,
    bank_of_payment,
    card_payments,
)
from scenarios.scenario import RECALL_AT_1_PERCENT, Scenario
from sites.schema.tables import ClassLabel, Costs, Number, Schema

# The real payments of 2013 reach farther than the SYNTHETIC ones: -114 in V5, 121 in V7.
FARTHEST = 200

TABLE = Schema(
    name="card-payments",
    person="card",
    features=(
        *(Number(name=name, low=-FARTHEST, high=FARTHEST) for name in COMPONENTS),
        Number(name="amount", low=0, high=30_000, unit="EUR", scale="log"),
    ),
    label=ClassLabel(
        column="class",
        classes=("0", "1"),
        # Declared for the example: about the mean amount of a fraud, and some minutes of work.
        costs=Costs(missed=180, alert=5, unit="EUR"),
    ),
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
    synthetic=True,
    site_of_row=bank_of_payment,
    sites=tuple(PAYMENTS),
    run_config={"model": "logistic", "momentum": 0.9, "weight-decay": 1e-3},
    floors=Floors(full_class_examples=2_000),
    headline=RECALL_AT_1_PERCENT,
)

EASY = replace(
    SCENARIO,
    name="card-fraud-easy",
    title=f"{SCENARIO.title}, where frauds stand out",
    story=f"{SCENARIO.story} Frauds lie farther from honest payments than in card-fraud.",
    records=partial(card_payments, "easy"),
)
HARD = replace(
    SCENARIO,
    name="card-fraud-hard",
    title=f"{SCENARIO.title}, where frauds look honest",
    story=f"{SCENARIO.story} Frauds lie nearer to honest payments than in card-fraud.",
    records=partial(card_payments, "hard"),
)
