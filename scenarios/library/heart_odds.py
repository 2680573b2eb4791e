"""Four real hospitals ask which findings go with heart disease: a regression with odds ratios."""

from consortium.charter.document import Floors
from scenarios.data.datasets import HOSPITALS, heart_hospitals
from scenarios.scenario import Scenario
from sites.schema.tables import Category, ClassLabel, Number, Schema

SCENARIO = Scenario(
    name="heart-odds",
    title="Four hospitals count together which findings go with heart disease",
    story=(
        "The 920 patients of heart-diagnosis, and what a first visit finds. Nobody trains: exact "
        "sums over all patients give a logistic regression with odds ratios and intervals, and "
        "each hospital eliminates its own intercept."
    ),
    task="diagnosis",
    table=Schema(
        name="heart-findings",
        person="patient",
        features=(
            Number(name="age", low=0, high=120, unit="years"),
            Category(name="sex", values=("female", "male")),
            Category(
                name="chest_pain",
                values=("non-anginal pain", "atypical angina", "typical angina", "asymptomatic"),
            ),
            Category(name="exercise_angina", values=("no", "yes"), missing=True),
        ),
        label=ClassLabel(column="disease", classes=("no", "yes")),
    ),
    dataset="heart-disease",
    site_of_row=heart_hospitals,
    sites=HOSPITALS,
    run_config={"learner": "glm", "site-effects": "fixed", "missing-values": "indicator"},
    floors=Floors(full_class_examples=200),
)
