import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.models.initialisation import Predicted, model_fields, n_outputs
from sites.models.tabular import model_for
from sites.plans import ModelPlan
from sites.schema.tables import ClassLabel, NumberLabel
from sites.schema.texts import MultiLabel
from tests.sites.models.fields import fields_of

SIDES = st.integers(1, 40)
PLANS = st.builds(
    ModelPlan, name=st.sampled_from(("logistic", "linear", "mlp")), hidden_units=SIDES
)


@pytest.mark.parametrize(
    ("label", "outputs"),
    [
        (ClassLabel(column="ill", classes=("no", "yes")), 1),
        (ClassLabel(column="grade", classes=("0", "1", "2")), 3),
        (NumberLabel(column="price", low=0, high=100), 1),
        (MultiLabel(column="findings", labels=("pain", "fever")), 2),
    ],
    ids=["two classes", "more classes", "a number", "several labels"],
)
def test_the_number_of_outputs_follows_from_the_label(label: Predicted, outputs: int) -> None:
    assert n_outputs(label) == outputs


@given(plan=PLANS, n_inputs=SIDES, n_outputs=SIDES)
def test_the_declared_shapes_equal_those_of_the_model(
    plan: ModelPlan, n_inputs: int, n_outputs: int
) -> None:
    """A site describes its model before it has imported torch."""
    foreseen = model_fields(plan, n_inputs=n_inputs, n_outputs=n_outputs)
    assert foreseen == fields_of(model_for(plan, n_inputs=n_inputs, n_outputs=n_outputs))
