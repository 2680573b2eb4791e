import numpy as np
import pytest

from sites.learners.plans import GlmPlan
from sites.learners.regression.equations import MOST_INPUTS, Regression, regression_of
from sites.learners.regression.families import Poisson
from sites.plans import BadPlan
from sites.schema.tables import Category, ClassLabel, NumberLabel, Schema
from sites.schema.texts import EntitySchema
from sites.statistics.tables import TableStatistics
from tests.sites.learners.regression.generated import AMOUNT, CLASSES, COUNTS, schema_of

GRADES = ClassLabel(column="grade", classes=("a", "b", "c"))


@pytest.mark.parametrize(
    ("label", "family", "said"),
    [
        (GRADES, "auto", "two classes, and grade is 3 classes"),
        (COUNTS, "logistic", "two classes, and visits is a number"),
        (CLASSES, "linear", "linear regression needs a number, and ill is 2 classes"),
        (CLASSES, "poisson", "poisson regression needs a number"),
        (AMOUNT, "poisson", "counts from 0 .* cost is from -100"),
    ],
)
def test_a_regression_that_does_not_fit_the_label_is_refused(
    label: ClassLabel | NumberLabel, family: str, said: str
) -> None:
    with pytest.raises(BadPlan, match=said):
        Regression(schema_of(label), GlmPlan(family=family))  # type: ignore[arg-type]


def test_a_regression_of_too_many_inputs_is_refused() -> None:
    wide = Category(name="code", values=tuple(f"v{one}" for one in range(MOST_INPUTS + 1)))
    schema = Schema(name="wide", person="person", features=(wide,), label=CLASSES)
    with pytest.raises(BadPlan, match="401 coefficients"):
        Regression(schema, GlmPlan())


def test_texts_are_refused() -> None:
    notes = EntitySchema(name="notes", types=("DRUG",))
    with pytest.raises(BadPlan, match="needs a table"):
        regression_of(notes, GlmPlan())


@pytest.mark.parametrize("label", [CLASSES, COUNTS, AMOUNT])
def test_without_statistics_everything_is_scaled_by_declared_bounds(
    label: ClassLabel | NumberLabel,
) -> None:
    schema = schema_of(label)
    regression = Regression(schema, GlmPlan(ridge=0.5))
    nothing = np.zeros(TableStatistics(schema).layout.size, np.int64)
    equations = regression.at(nothing)
    assert regression.at(nothing) is equations
    assert equations.sums.bits == 16
    penalties = equations.penalties(10)
    assert penalties[0] == 0
    assert (penalties[1:] > 0).all()
    assert regression.tally.size == 12 + 6 * 6 + 6 * 7


def test_a_mean_of_no_events_is_above_zero() -> None:
    schema = schema_of(COUNTS)
    counted, n = TableStatistics(schema), 20
    columns = {
        "age": np.full(n, 50.0),
        "income": np.full(n, 10.0),
        "ward": np.zeros(n, np.int64),
        "smoker": np.zeros(n, np.int64),
    }
    tally = counted.tally(columns, np.zeros(n), persons=n)
    family = Regression(schema, GlmPlan(family="poisson")).at(tally).family
    assert isinstance(family, Poisson)
    assert family.mean > 0
