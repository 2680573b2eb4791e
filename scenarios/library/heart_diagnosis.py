"""Four real hospitals learn to recognise heart disease: whether it is there, and how severe."""

from dataclasses import replace

from consortium.charter.document import Floors
from scenarios.data.datasets import HOSPITALS, heart_hospitals
from scenarios.scenario import MACRO_F1, Scenario
from sites.schema.tables import Category, ClassLabel, Number, Schema

_FEATURES = (
    Number(name="age", low=0, high=120, unit="years"),
    Category(name="sex", values=("female", "male")),
    Category(
        name="chest_pain",
        values=("asymptomatic", "non-anginal pain", "atypical angina", "typical angina"),
    ),
    Number(name="resting_pressure", low=50, high=300, unit="mm Hg", missing=True),
    Number(name="cholesterol", low=50, high=800, unit="mg/dl", missing=True),
    Category(name="fasting_sugar_high", values=("no", "yes"), missing=True),
    Category(
        name="resting_ecg",
        values=("normal", "st-t abnormality", "left ventricular hypertrophy"),
        missing=True,
    ),
    Number(name="peak_heart_rate", low=40, high=240, unit="beats/min", missing=True),
    Category(name="exercise_angina", values=("no", "yes"), missing=True),
    Number(name="st_depression", low=-5, high=10, unit="mm", missing=True),
    Category(name="st_slope", values=("upsloping", "flat", "downsloping"), missing=True),
    Number(name="vessels", low=0, high=3, unit="vessels", missing=True),
    Category(name="thallium", values=("normal", "fixed defect", "reversible defect"), missing=True),
)

SCENARIO = Scenario(
    name="heart-diagnosis",
    title="Four hospitals learn together to recognise heart disease",
    story=(
        "920 real patients of Cleveland, Hungary, Switzerland and VA Long Beach, 1988, with the "
        "values that each hospital did not measure missing as they were."
    ),
    task="diagnosis",
    table=Schema(
        name="heart-disease",
        person="patient",
        features=_FEATURES,
        label=ClassLabel(column="disease", classes=("no", "yes")),
    ),
    dataset="heart-disease",
    site_of_row=heart_hospitals,
    sites=HOSPITALS,
    run_config={
        "model": "logistic",
        "local-epochs": 2,
        "batch-size": 16,
        "min-local-steps": 10,  # momentum makes a step go further
        "learning-rate": 0.02,
        "momentum": 0.9,
        "weight-decay": 1e-2,
    },
    floors=Floors(full_class_examples=200),
)

SEVERITY = replace(
    SCENARIO,
    name="heart-severity",
    title="Four hospitals learn together how severe heart disease is",
    story=(
        "The 920 patients of heart-diagnosis; the label is the severity from 0 to 4. Hungary wrote "
        "down only 0 and 1, so its 1 means ill, and some hospitals hardly ever saw a 4."
    ),
    table=Schema(
        name="heart-severity",
        person="patient",
        features=_FEATURES,
        label=ClassLabel(column="severity", classes=("0", "1", "2", "3", "4"), ordered=True),
    ),
    run_config={**SCENARIO.run_config, "class-balance": "weights"},
    headline=MACRO_F1,
)
