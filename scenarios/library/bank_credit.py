"""Five banks with different clienteles learn who will default on a credit card."""

from dataclasses import replace

from consortium.charter.document import Floors
from scenarios.data.datasets import BANKS, credit_banks
from scenarios.scenario import Scenario
from sites.schema.tables import Category, ClassLabel, Feature, Number, Schema

_MONTHS = ("sep", "aug", "jul", "jun", "may", "apr")
_STATUSES = ("no use", "paid duly", "revolving", "late")


def _month_features(month: str) -> tuple[Feature, ...]:
    return (
        Category(name=f"status_{month}", values=_STATUSES),
        Number(name=f"months_late_{month}", low=0, high=12, unit="months", scale="log"),
        Number(name=f"bill_{month}", low=-1e6, high=1e7, unit="NT$", scale="log"),
        Number(name=f"paid_{month}", low=0, high=1e7, unit="NT$", scale="log"),
    )


TABLE = Schema(
    name="credit-card-clients",
    person="borrower",
    features=(
        Category(name="sex", values=("female", "male")),
        Category(
            name="education",
            values=("graduate school", "university", "high school", "other", "undocumented"),
        ),
        Category(name="marriage", values=("married", "single", "other", "undocumented")),
        Number(name="age", low=18, high=110, unit="years"),
        *(feature for month in _MONTHS for feature in _month_features(month)),
    ),
    label=ClassLabel(column="default", classes=("no", "yes")),
)

SCENARIO = Scenario(
    name="bank-credit",
    title="Five banks learn together who will default on a credit card",
    story=(
        "30,000 real borrowers in Taiwan, 2005. Each bank has its own clientele: a fifth of the "
        "borrowers by credit limit, so that 32 % default at the first bank and 14 % at the last. "
        "The limit itself is not a feature."
    ),
    task="credit",
    table=TABLE,
    dataset="taiwan-credit",
    site_of_row=credit_banks,
    sites=BANKS,
    run_config={"momentum": 0.9, "weight-decay": 1e-3},
    floors=Floors(full_class_examples=2_000),
)

SCORECARD = replace(
    SCENARIO,
    name="bank-scorecard",
    title="Five banks agree on one score card",
    story=(
        "The 30,000 borrowers of bank-credit. In place of a network the banks fit a card whose "
        "points anybody can add up. Every sum that is opened is over all five."
    ),
    run_config={
        **SCENARIO.run_config,  # of the network that compare trains beside it
        "learner": "scorecard",
        "card.monotone": "months_late_sep:up,paid_sep:down",
    },
)

TREES = replace(
    SCENARIO,
    name="bank-trees",
    title="Five banks grow boosted trees together",
    story=(
        "The 30,000 borrowers of bank-credit. Sums of counts and derivatives over all five banks "
        "choose every split, so the trees are those of all records in one place. XGBoost loads "
        "them."
    ),
    run_config={
        **SCENARIO.run_config,  # of the network that compare trains beside it
        "learner": "trees",
        "trees.count": 40,
        "trees.learning-rate": 0.2,
    },
)
