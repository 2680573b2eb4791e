"""Fifteen banks learn who will default on a credit card, and two of them lie.

It has a file of its own, as every scenario of the library has.
"""

from dataclasses import replace

from consortium.charter.document import Floors
from scenarios.data.datasets import BRANCH_BANKS, branch_banks
from scenarios.library import bank_credit
from scenarios.trials import TRIALS

SCENARIO = replace(
    bank_credit.SCENARIO,
    name="byzantine-banks",
    title="Fifteen banks learn together who will default, and two of them lie",
    story=(
        "The 30,000 borrowers of bank-credit at fifteen banks: each of the five is split into "
        "three, so that every bank shares its clientele with two others. Two of the fifteen send "
        "their updates reversed; a median outvotes them, and under encryption five buckets do."
    ),
    site_of_row=branch_banks,
    sites=BRANCH_BANKS,
    run_config={
        "momentum": 0.9,
        "weight-decay": 1e-3,
        "num-server-rounds": 10,
        "local-epochs": 2,
        "weighting": "equal",
        "rule.name": "trimmed-mean",
        "rule.num-byzantine": 2,
        "rule.clip-norm": 1.0,
    },
    floors=Floors(full_class_examples=1_000),
    faults={"birch-south": "sign-flip", "dune-west": "sign-flip"},
    trials=TRIALS,
)
