"""Four hospitals learn to recognise heart disease, and two of them are careless.

It has a file of its own, as every scenario of the library has.
"""

from dataclasses import replace

from scenarios.library import heart_diagnosis

SCENARIO = replace(
    heart_diagnosis.SCENARIO,
    name="careless-hospital",
    title="Four hospitals learn together to recognise heart disease, and two are careless",
    story=(
        "The 920 patients of heart-diagnosis. Hungary exported its labels reversed; VA Long Beach "
        "writes ST depression in millivolt instead of the agreed millimetres, and the values still "
        "fit the schema. Among four hospitals a rule survives one liar and promises nothing about "
        "two: five hospitals would be needed. Each update is first mixed with the nearest ones, "
        "since so few hospitals with such different patients are hard to tell from liars. The "
        "labels of Hungary's held-out patients are reversed as well, and pooled figures blame the "
        "model for that."
    ),
    run_config={
        **heart_diagnosis.SCENARIO.run_config,
        "weighting": "equal",
        "rule.name": "trimmed-mean",
        "rule.pre-step": "nearest-neighbour-mixing",
        "rule.num-byzantine": 1,
    },
    faults={"hungary": "label-flip", "va-long-beach": "unit-mix-up"},
)
