"""Five banks learn who will default, with differential privacy for each borrower."""

from dataclasses import replace

from scenarios.library import bank_credit
from scenarios.trials import Campaign, PrivacyTrials

SCENARIO = replace(
    bank_credit.SCENARIO,
    name="private-banks",
    title="Five banks learn together who will default, and no borrower shows in the model",
    story=(
        "The 30,000 borrowers of bank-credit. Every bank clips what a borrower adds, draws at "
        "random who is in a step, and adds noise before anything leaves. It counts what that "
        "costs its borrowers over all runs, and refuses a run that exceeds its budget."
    ),
    run_config={
        "model": "logistic",
        "num-server-rounds": 10,
        "learning-rate": 1.0,
        "weighting": "equal",
        "dp.unit": "person",
        "dp.epsilon": 1.0,
        "dp.clip-norm": 0.5,
        "dp.sampling-rate": 0.1,
        "dp.steps": 10,
    },
    privacy=PrivacyTrials(
        epsilons=(8.0, 3.0, 1.0, 0.5),
        repeats=3,
        without={
            "dp.unit": "off",
            "dp.epsilon": 0.0,
            "learning-rate": 0.05,
            "momentum": 0.9,
            "weight-decay": 1e-3,
        },
        campaign=Campaign(epsilon=1.0, runs=5, ceilings={"": 2.0, "elm-bank": 1.2}, delta=1e-5),
    ),
)
