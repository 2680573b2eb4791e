import pytest
import torch

from sites.models.tabular import model_for
from sites.plans import ModelPlan


@pytest.mark.parametrize(
    ("plan", "names"),
    [
        (ModelPlan(name="logistic"), ["output.weight", "output.bias"]),
        (ModelPlan(name="linear"), ["output.weight", "output.bias"]),
        (
            ModelPlan(name="mlp", hidden_units=5),
            ["hidden.weight", "hidden.bias", "output.weight", "output.bias"],
        ),
    ],
)
def test_a_model_has_the_planned_arrays_and_outputs(plan: ModelPlan, names: list[str]) -> None:
    model = model_for(plan, n_inputs=3, n_outputs=2)
    assert [name for name, _ in model.named_parameters()] == names
    assert model(torch.zeros(7, 3)).shape == (7, 2)
    assert model(torch.zeros(0, 3)).shape == (0, 2)


def test_a_perceptron_is_two_linear_layers_with_a_relu_between() -> None:
    model = model_for(ModelPlan(hidden_units=1), n_inputs=1, n_outputs=1)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), (2.0, -1.0, 3.0, 0.5), strict=True):
            parameter.fill_(value)
    scores = model(torch.tensor([[2.0], [0.0]]))  # 3 * relu(2 x - 1) + 0.5
    assert scores[:, 0].tolist() == [9.5, 0.5]


def test_building_a_model_leaves_the_global_generator_unchanged() -> None:
    before = torch.get_rng_state()
    model_for(ModelPlan(), n_inputs=3, n_outputs=2)
    assert torch.equal(torch.get_rng_state(), before)
