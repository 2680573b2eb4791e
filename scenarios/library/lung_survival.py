"""Eighteen real institutions study together who survives advanced lung cancer for how long."""

from consortium.charter.document import Floors
from scenarios.data.datasets import INSTITUTIONS, lung_institutions, lung_patients
from scenarios.scenario import CONCORDANCE, Scenario
from sites.schema.tables import Category, EventTimeLabel, Number, Schema

_MONTH = 30  # days

SCENARIO = Scenario(
    name="lung-survival",
    title="Eighteen institutions study together survival with advanced lung cancer",
    story=(
        "226 real patients of the 18 institutions of a trial of the North Central Cancer Treatment "
        "Group, two to 36 at each; several institutions are too small for a model of their own."
    ),
    task="survival",
    table=Schema(
        name="lung-cancer",
        person="patient",
        features=(
            Number(name="age", low=0, high=120, unit="years"),
            Category(name="sex", values=("male", "female")),
            Number(name="ecog", low=0, high=5, unit="grades"),
        ),
        label=EventTimeLabel(
            column="status",
            classes=("alive", "dead"),
            time="days",
            high=1100,
            unit="days",
            times=tuple(float(_MONTH * month) for month in range(1, 37)),
            horizon=360,
        ),
    ),
    dataset="lung",
    records=lung_patients,
    site_of_row=lung_institutions,
    sites=INSTITUTIONS,
    run_config={"learner": "cox", "cox.group": "sex"},
    floors=Floors(full_class_examples=20),
    headline=CONCORDANCE,
)
